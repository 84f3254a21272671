/**
 * Numbers that a dead leader had given out are given out again, while another store still knows the old ones.
 *
 * After GitHub's "GitHub availability this week" (2012): a database that was behind was promoted, its counters gave
 * numbers out again, and what was kept under them elsewhere was shown to other people.
 */

import { ownOnly } from '../checkers.ts'
import type { Scenario } from '../scenario.ts'
import { SignUp } from '../sign-up.ts'

export const github2012Scenario: Scenario = {
  name: 'github-2012',
  question: 'A new leader gives out numbers. Can they be those of somebody else?',
  scene: [
    'Three nodes n1, n2, n3. Who signs up gets a number from a table that n1 leads.',
    'A second table, which has no leader, keeps what belongs to a number: private letters.',
    'n1 is cut off from the others while people sign up through it, and then loses its power.',
  ],
  settings: [
    {
      label: 'counted-none',
      explained:
        'ack: none, numbers are counted up in a row; the operator goes on without n1 (an unclean election).',
      expected: 'broken',
      replication: { kind: 'single-leader', n: 3, ack: 'none' },
      operator: true,
      numbers: 'counted',
    },
    {
      label: 'generated-none',
      explained:
        'the same failure, but numbers are made by generatedId(): each begins with how many leaders there have been.',
      expected: 'holds',
      replication: { kind: 'single-leader', n: 3, ack: 'none' },
      operator: true,
      numbers: 'generated',
    },
    {
      label: 'counted-majority',
      explained: 'ack: majority, numbers are counted up: the next leader knows each one that was given out.',
      expected: 'holds',
      replication: { kind: 'single-leader', n: 3, ack: 'majority' },
      numbers: 'counted',
    },
  ],
  async act(stage, { operator, numbers }) {
    const { trouble } = stage
    const people = new SignUp(stage, numbers)
    await people.open(['n1', 'n2', 'n3'])
    await trouble.leadFrom('n1')
    await people.join('Ann', 'n1')
    await people.keep('Ann', 'n2')
    await trouble.evened()
    trouble.cut(['n1'], ['n2', 'n3'], false, 'the cable between n1 and the other nodes breaks')
    for (const who of ['Bob', 'Cleo']) {
      await people.join(who, 'n1')
      await people.keep(who, 'n2')
      await people.look(who, 'n2')
    }
    trouble.powerCut('n1', 'n1 loses its power')
    if (operator === true) {
      await stage.pause(3_000)
      await trouble.electUncleanly('n2')
    } else await trouble.electedOrNot('n1', 30_000)
    for (const who of ['Dora', 'Emil']) {
      await people.join(who, 'n2')
      await people.look(who, 'n2')
    }
    await people.look('Ann', 'n2')
  },
  check: ownOnly,
  advice:
    'Choose ack: majority, or have numbers made by generatedId(), which no later leader makes again, wherever a number means something outside of its own table.',
}
