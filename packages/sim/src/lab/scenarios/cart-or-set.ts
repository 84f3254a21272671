/** One person empties the cart while another puts something in that was in it already. */

import { Carts } from '../carts.ts'
import { cartAsMeant } from '../checkers.ts'
import type { Scenario } from '../scenario.ts'

const always = { n: 3, w: 1, r: 1 } as const

export const cartOrSetScenario: Scenario = {
  name: 'cart-or-set',
  question: 'Ann takes the milk out while Bob puts milk in. What is in the cart?',
  scene: [
    'Three nodes n1, n2, n3, each with a copy of every row (replicas), w=1, r=1.',
    'n3 is cut off. On one side Ann takes the milk out that she sees; on the other Bob wants milk, and puts it in.',
    'Nobody can say who was first. Nothing is worse than milk that nobody brings: who puts in shall win.',
  ],
  settings: [
    {
      label: 'lww',
      explained:
        'conflict: lww. The cart that was written last stays, with all that is in it, and without the rest.',
      expected: 'broken',
      replication: always,
      cart: 'lww',
    },
    {
      label: 'or-set',
      explained:
        'conflict: crdt, items are an observed-remove set: what Ann did not see, she did not take out.',
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
    await stage.pause(2_000)
    trouble.cut(['n1', 'n2'], ['n3'], true, 'n3 and the app server beside it are cut off')
    await Promise.all([carts.putIn('Bob', 'n3', 'milk'), carts.takeOut('Ann', 'n1', 'milk')])
    await carts.putIn('Bob', 'n3', 'bread')
    await carts.putIn('Ann', 'n1', 'eggs')
    await stage.pause(2_000)
    trouble.heal('the cable is mended')
    await stage.pause(60_000)
    await carts.look('Cleo', 'n2')
  },
  check: cartAsMeant,
  advice:
    'Choose crdt with a set: each addition has a name of its own, and a removal names those that it has seen. Of the same thing put in and taken out at once, the addition stays.',
}
