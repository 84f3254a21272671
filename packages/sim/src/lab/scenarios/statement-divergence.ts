/** A statement that draws a number is carried out by each replica anew: each draws another one. */

import { replicasAgree } from '../checkers.ts'
import type { Scenario } from '../scenario.ts'

export const statementDivergenceScenario: Scenario = {
  name: 'statement-divergence',
  question: 'A statement says random(). Do all replicas keep the same number?',
  scene: [
    'Three nodes n1, n2, n3, each with a copy of every row (replicas); one of them leads and ships its log.',
    'Ann sets a prize to random(). When everything is at rest each replica is asked for it.',
  ],
  settings: [
    {
      label: 'statements-as-they-are',
      explained: 'log: statement, freeze: false: the log says random(), and each replica draws.',
      expected: 'broken',
      replication: { kind: 'single-leader', n: 3, ack: 'all', log: 'statement', freeze: false },
      read: 'any',
    },
    {
      label: 'statements-frozen',
      explained: 'log: statement, freeze: true (the default): the leader draws, and the log has the number.',
      expected: 'holds',
      replication: { kind: 'single-leader', n: 3, ack: 'all', log: 'statement' },
      read: 'any',
    },
    {
      label: 'logical',
      explained: 'log: logical: the log has the row as it is afterwards; no call is in it.',
      expected: 'holds',
      replication: { kind: 'single-leader', n: 3, ack: 'all', log: 'logical' },
      read: 'any',
    },
  ],
  async act(stage) {
    await stage.draw('Ann', 'n1', 'prize')
    await stage.pause(1_000)
    stage.timeline.step('', 'a second later nothing is under way')
    for (const node of ['n1', 'n2', 'n3'] as const) await stage.read('Bob', node, 'prize')
  },
  check: replicasAgree,
  advice:
    'Leave freeze on, or choose log: logical (or physical); freeze: false is only for statements that say the same wherever they are carried out.',
}
