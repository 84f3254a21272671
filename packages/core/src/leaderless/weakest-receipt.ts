/**
 * One receipt for what was done to several parts of a row: that of the part with the fewest copies, since whatever
 * it promises holds for all; with who was hinted and repaired in any of them.
 */

import { assert } from '../base/assert.ts'
import type { WireReceipt } from '../wire/messages.ts'

export function weakestReceipt(
  coordinator: WireReceipt['coordinator'],
  all: readonly WireReceipt[],
): WireReceipt {
  assert(all.length > 0, 'a receipt of something')
  const weakest = all.reduce((least, receipt) => (isWeaker(receipt, least) ? receipt : least))
  const everyone = (of: (receipt: WireReceipt) => WireReceipt['hinted']): WireReceipt['hinted'] => [
    ...new Set(all.flatMap(of)),
  ]
  return {
    ...weakest,
    coordinator,
    hinted: everyone(({ hinted }) => hinted),
    repaired: everyone(({ repaired }) => repaired),
    forwarded: all.some(({ forwarded }) => forwarded),
    via: weakest.via,
    hedged: all.some(({ hedged }) => hedged),
  }
}

/** Fewer copies; of as many, those of which more are missing. */
const isWeaker = (a: WireReceipt, b: WireReceipt): boolean =>
  a.homes.length < b.homes.length || (a.homes.length === b.homes.length && a.replicas > b.replicas)
