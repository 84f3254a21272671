/** Two people change one cart at the same time; whoever writes last takes what the other has put in. */

import { Carts } from '../carts.ts'
import { cartAsMeant } from '../checkers.ts'
import type { Scenario } from '../scenario.ts'

const quorums = { n: 3, w: 2, r: 2 } as const

export const lwwLostUpdateScenario: Scenario = {
  name: 'lww-lost-update',
  question: 'Two people put something into one cart at the same time. Is both in it?',
  scene: [
    'Three nodes n1, n2, n3, each with a copy of every row (replicas), w=2 and r=2: nothing is out of order.',
    'Ann and Bob look at the cart at the same moment, and each puts something in.',
  ],
  settings: [
    {
      label: 'lww',
      explained:
        'conflict: lww. A cart is written as a whole, and of two that did not see each other the later stays.',
      expected: 'broken',
      replication: quorums,
      cart: 'lww',
    },
    {
      label: 'siblings',
      explained: 'conflict: siblings. Both carts stay beside each other, and the reader puts them together.',
      expected: 'holds',
      replication: quorums,
      cart: 'siblings',
    },
    {
      label: 'crdt',
      explained:
        'conflict: crdt. Items are a set that merges by itself: people say what they add, not what is in it.',
      expected: 'holds',
      replication: quorums,
      cart: 'crdt',
    },
  ],
  async act(stage, setting) {
    const carts = new Carts(stage, setting)
    await carts.open(['n1', 'n2', 'n3'])
    await stage.known()
    await carts.putIn('Ann', 'n1', 'milk')
    const [ann, bob] = [await carts.see('n1'), await carts.see('n3')]
    await carts.putIn('Ann', 'n1', 'eggs', ann)
    await carts.putIn('Bob', 'n3', 'bread', bob)
    await carts.look('Cleo', 'n2')
  },
  check: cartAsMeant,
  advice:
    'Choose crdt for what people add to and take from together; siblings where the application can merge; lww only where losing one of two is right, and look into the ledger, which has what was lost.',
}
