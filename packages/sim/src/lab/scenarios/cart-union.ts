/** A cart whose versions are merged by union: what one person took out comes back. After the Dynamo paper (2007), 4.4. */

import { Carts } from '../carts.ts'
import { cartAsMeant } from '../checkers.ts'
import type { Scenario } from '../scenario.ts'

const always = { n: 3, w: 1, r: 1 } as const

export const cartUnionScenario: Scenario = {
  name: 'cart-union',
  question: 'Two versions of a cart are merged by union. Does what was taken out stay out?',
  scene: [
    'Three nodes n1, n2, n3, each with a copy of every row (replicas). The cart must always take writes: w=1, r=1.',
    'n3 is cut off from the others. Ann is at n1, Bob at n3; then the cable is mended.',
  ],
  settings: [
    {
      label: 'union',
      explained:
        'conflict: merge:union. Carts that did not see each other are merged: everything that is in one of them.',
      expected: 'broken',
      replication: always,
      cart: 'merge:union',
    },
    {
      label: 'or-set',
      explained: 'conflict: crdt, items are an observed-remove set: a removal takes away what was seen.',
      expected: 'holds',
      replication: always,
      cart: 'crdt',
    },
  ],
  async act(stage, setting) {
    const { trouble } = stage
    const carts = new Carts(stage, setting)
    await carts.open(['n1', 'n2', 'n3'])
    await stage.known()
    await carts.putIn('Ann', 'n1', 'milk')
    await carts.putIn('Ann', 'n1', 'caviar')
    await stage.pause(2_000)
    trouble.cut(['n1', 'n2'], ['n3'], true, 'n3 and the app server beside it are cut off')
    await carts.takeOut('Ann', 'n1', 'caviar')
    await carts.putIn('Bob', 'n3', 'bread')
    await stage.pause(2_000)
    trouble.heal('the cable is mended')
    await stage.pause(60_000)
    await carts.look('Cleo', 'n2')
  },
  check: cartAsMeant,
  advice:
    'Choose crdt with a set for the items: it knows what was taken out from what was never there. A union cannot tell, and brings it back.',
}
