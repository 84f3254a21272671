/** A replica does not hear that a row was deleted, and has it still. */

import { staysDeleted } from '../checkers.ts'
import type { Scenario } from '../scenario.ts'

const AWAY_MS = 300_000

export const zombieTombstoneScenario: Scenario = {
  name: 'zombie-tombstone',
  question: 'A row is deleted while one replica is away. Does it come back with the replica?',
  scene: [
    'Three nodes n1, n2, n3, each with a copy of every row (replicas). n3 is cut off; then Ann deletes the row at n1.',
    'Bob is beside n3, which still has the row. After five minutes the cable is mended.',
    'The deletion is a record of its own (a tombstone). It is not collected before every replica is known to have it.',
  ],
  settings: [
    {
      label: 'r1',
      explained: 'w=2, r=1: one replica answers, also the one that has not heard of the deletion.',
      expected: 'broken',
      replication: { n: 3, w: 2, r: 1 },
    },
    {
      label: 'quorums',
      explained: 'w=2, r=2: every reader asks one replica that has the deletion, or gets no answer.',
      expected: 'holds',
      replication: { n: 3, w: 2, r: 2 },
    },
  ],
  async act(stage) {
    const { trouble } = stage
    await stage.known()
    await stage.write('Ann', 'n1', 'post', 1)
    await stage.pause(2_000)
    trouble.cut(['n1', 'n2'], ['n3'], true, 'n3 and the app server beside it are cut off')
    await stage.pause(5_000)
    await stage.remove('Ann', 'n1', 'post')
    await stage.read('Bob', 'n3', 'post')
    await stage.pause(AWAY_MS)
    await stage.read('Bob', 'n3', 'post')
    trouble.heal('the cable is mended')
    for (const pauseMs of [5_000, 60_000]) {
      await stage.pause(pauseMs)
      await stage.read('Bob', 'n3', 'post')
      await stage.read('Cleo', 'n1', 'post')
    }
  },
  check: staysDeleted,
  advice:
    'Choose r + w > n: a reader then meets the deletion wherever it is. Tombstones need no care: they wait for the last replica, however long it is away, so what was deleted is at most seen again, never stored again.',
}
