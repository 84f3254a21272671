/** What this replica knows of one row, for `explain`: read-only, no repair. */

import { assertKeyOf } from '../catalog/catalog.ts'
import { DAMAGED } from '../store/store-face.ts'
import { inspectMessage } from '../wire/messages.ts'
import type { NodeContext } from './node-context.ts'

export function serveInspections(node: NodeContext): void {
  node.rpc.handle(inspectMessage, (request, respond) => {
    const view = node.catalog.view(request.table)
    assertKeyOf(view, request.key)
    const partition = view.map.locate(request.key)
    const stored = node.store.get(request.key)
    const damaged = stored === DAMAGED || node.rows.damagedKeys.has(request.key)
    const hints = node.hints.targets().filter(target => node.hints.get(target, request.key) !== undefined)
    const ready = node.isReady(view, partition)
    respond.ok({ cell: stored === DAMAGED ? undefined : stored, damaged, ready, hints: [...hints] })
  })
}
