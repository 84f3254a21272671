/** A node whose clock is wrong writes what no later write can beat. */

import { lastWordCounts } from '../checkers.ts'
import type { Scenario } from '../scenario.ts'

const always = { n: 3, w: 1, r: 1 } as const
/** A large step of a clock is not believed; small ones are. Together less than stamps may be ahead: more is refused. */
const STEP_MS = 900
const STEPS = 10

export const clockSkewScenario: Scenario = {
  name: 'clock-skew',
  question: 'The clock of one node is 9 s ahead. Does the last write still win?',
  scene: [
    'Three nodes n1, n2, n3, each with a copy of every row (replicas), w=1, r=1.',
    'Nodes that hear each other agree on the time, whatever their clocks say. But n1 is cut off, and its time server goes wrong.',
    'Ann writes through n1; two seconds later Bob, on the other side, writes the same row. Then the cable is mended.',
  ],
  settings: [
    {
      label: 'lww',
      explained:
        'conflict: lww. The write with the greater timestamp stays, and that is the one of the wrong clock.',
      expected: 'broken',
      replication: always,
    },
    {
      label: 'siblings',
      explained: 'conflict: siblings. No clock is asked: both writes stay, since neither had seen the other.',
      expected: 'holds',
      replication: always,
      conflict: 'siblings',
    },
  ],
  async act(stage) {
    const { trouble } = stage
    await stage.known()
    trouble.cut(['n1'], ['n2', 'n3'], true, 'n1 and the app server beside it are cut off')
    for (let step = 0; step < STEPS; step++) {
      await stage.pause(STEP_MS)
      trouble.jumpClock('n1', STEP_MS)
    }
    trouble.tell('the time server of n1 has set its clock ahead, step by step, 9 s in all')
    await stage.write('Ann', 'n1', 'post', 1)
    await stage.pause(2_000)
    await stage.write('Bob', 'n2', 'post', 2)
    await stage.pause(1_000)
    trouble.heal('the cable is mended')
    await stage.pause(60_000)
    await stage.read('Cleo', 'n3', 'post')
  },
  check: lastWordCounts,
  advice:
    'Choose siblings or crdt where a write must not be lost to a clock; with lww give the context of a read, so that what a write has seen it beats, and look into the ledger for what it lost to.',
}
