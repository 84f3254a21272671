/**
 * Where every request about a row comes in: the version of the partition it was sent with is compared before
 * anything else. A sender that is behind hears STALE_MAP with the newer version, never "not found"; a sender
 * that is ahead waits while this node catches up. So one request is executed under one version of its
 * partition everywhere.
 */

import { QuorateError } from '../base/errors.ts'
import type { ByteString, PeerId } from '../base/ids.ts'
import type { TableView } from '../catalog/catalog.ts'
import type { Partition } from '../partitioning/partition-map.ts'
import type { Respond } from '../wire/rpc.ts'
import type { NodeContext } from './node-context.ts'

export interface Routed {
  readonly view: TableView
  readonly partition: Partition
}

export class PartitionDoors {
  readonly #node: NodeContext
  readonly #onBehind: () => void

  /** `onBehind`: a request came for a table that is not known here. */
  constructor(node: NodeContext, onBehind: () => void) {
    this.#node = node
    this.#onBehind = onBehind
  }

  view(table: number): TableView {
    const view = this.#node.catalog.find(table)
    if (view !== undefined) return view
    this.#onBehind()
    throw new QuorateError(
      'UNKNOWN_TABLE',
      `there is no table with id ${table} (it may be too new for ${this.#node.self})`,
      {
        data: { tableId: table },
      },
    )
  }

  /** Runs with the partition of `key` when this node and the sender have the same version of it. */
  at<Reply>(
    request: { readonly table: number; readonly mapVersion: number },
    key: ByteString,
    respond: Respond<Reply>,
    from: PeerId,
    run: (routed: Routed) => void,
  ): void {
    const { catalog, counters } = this.#node
    const view = this.view(request.table)
    const partition = view.map.locate(key)
    if (request.mapVersion === partition.version) return run({ view, partition })
    counters.staleMap++
    if (request.mapVersion < partition.version) throw this.#staleMap(view, partition, request.mapVersion)
    const sender = catalog.members.members.some(member => member.id === (from as string)) ? from : undefined
    void this.#node.catchUp(view.descriptor.id, partition.chunk, sender).then(() =>
      guarded(respond, () => {
        const now = this.view(request.table)
        const found = now.map.locate(key)
        if (found.version !== request.mapVersion) throw this.#staleMap(now, found, request.mapVersion)
        run({ view: now, partition: found })
      }),
    )
  }

  #staleMap(view: TableView, partition: Partition, sent: number): QuorateError {
    return new QuorateError(
      'STALE_MAP',
      `the request was made with version ${sent} of a partition of "${view.descriptor.name}", this node has ${partition.version}`,
      { data: { version: partition.version, sent } },
    )
  }
}

/** A range lies inside one partition: its homes speak for it, and for nothing beyond. */
export function refuseOutside(
  { from, to }: Partition,
  request: { readonly from: ByteString; readonly to: ByteString },
): void {
  if (request.from < from || request.to > to || request.from > request.to) {
    throw new QuorateError('BAD_REQUEST', 'the range is outside its partition, or ends before it starts')
  }
}

/** A row is judged by what is known of its own partition: fences, homes, versions of another mean nothing to it. */
export function refuseRowsOutside({ id, from, to }: Partition, keys: Iterable<ByteString>): void {
  for (const key of keys) {
    if (key >= from && key < to) continue
    throw new QuorateError('BAD_REQUEST', `a row named for partition ${id} is not in it`, {
      data: { partition: id },
    })
  }
}

export function guarded(respond: { fail(error: unknown): void }, run: () => void): void {
  try {
    run()
  } catch (error) {
    respond.fail(error)
  }
}
