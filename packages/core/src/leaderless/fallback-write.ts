/**
 * A write coordinated by a node that is no home of the row, because no home can be reached: the sloppy
 * table stays writable. The write becomes a hint here for one dead home.
 *
 * This node forgets a row when its hint is handed off, so it has no continuous memory of its own writes
 * of the row: each such write claims only itself in the context (`memoryFrom` is its own stamp).
 */

import { QuorateError } from '../base/errors.ts'
import type { ByteString, NodeId, Stamp } from '../base/ids.ts'
import type { TableView } from '../catalog/catalog.ts'
import { contextMax } from '../causality/context.ts'
import { emptyCell } from '../cells/cell.ts'
import { decodeCell } from '../cells/cell-codec.ts'
import { seenBy, type WriteOperation } from '../cells/conflict-rule.ts'
import { encodeBounded } from './bounded-cell.ts'
import type { NodeContext } from './node-context.ts'
import type { Written } from './row-store.ts'

export function writeAsFallback(
  node: NodeContext,
  view: TableView,
  key: ByteString,
  write: WriteOperation,
  home: NodeId,
): Written & { readonly asOf: Stamp } {
  const hint = node.hints.get(home, key)
  // What came out of an older hint is as old as that hint, however new the write on top of it.
  const asOf = hint?.asOf ?? node.hybrid.peek()
  const base = hint === undefined ? emptyCell : decodeCell(hint.cell)
  if (write.seen !== undefined) node.hybrid.observe(contextMax(write.seen.context), 'the context')
  node.hybrid.observe(contextMax(base.context), 'the hint')
  if (write.after !== undefined) node.hybrid.observe(contextMax(write.after), 'the session')
  const dot = { actor: node.store.incarnation, stamp: node.hybrid.mint() }
  const result = view.rule.write(base, write, dot, dot.stamp)
  const bytes = encodeBounded(result.cell, key)
  const baseInFlight = view.rule.discards && node.hints.positionOf(home, key) > 0
  const position = node.hints.put(home, key, bytes, asOf, node.hybrid.peek(), result.discarded)
  if (position === undefined) {
    throw new QuorateError(
      'OVERLOADED',
      `no home of the row is up and ${node.self} holds all the hints it may for ${home}`,
      {
        data: { retryAfterMs: 1_000 },
      },
    )
  }
  return {
    bytes,
    position,
    changed: true,
    seen: seenBy(view.rule, write, result.cell),
    repeated: result.repeated,
    holdBack: baseInFlight || result.discarded.length > 0,
    delta: undefined,
    asOf,
  }
}
