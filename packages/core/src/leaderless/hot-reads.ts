/**
 * Reads of hot rows at their coordinator, answered from a short memory (`hotReadCacheMs`; 0, the default: off).
 *
 * Problem: thousands of readers of one row each cost a look into the store and a merge, for the same answer.
 * Mechanism: a single-flight cache (hotkeys/single-flight-cache.ts) of what a read flow found, for reads that want one
 * answer: what they get is what one replica had at most `hotReadCacheMs` ago, and the receipt names that replica.
 *
 * What it may not break:
 * - quorum reads never take from it nor wait for it;
 * - only a home that is ready keeps answers, since then every write that this coordinator takes part in shows in its
 *   own store, and in the turn in which it does the answer is dropped (RowStore.onShown): nobody who writes through
 *   this node finds here a state from before the write. An answer that came from another home instead (a hedge, a
 *   damaged copy here) serves only who asked for it: that home may lack a write that is acknowledged here;
 * - an answer belongs to one version of its partition; while a partition moves nothing of it is kept;
 * - whoever waited for another's read that failed asks for itself: the other may have had less time.
 */

import type { ByteString, NodeId } from '../base/ids.ts'
import { placeOfKey, type TableView } from '../catalog/catalog.ts'
import type { Cell } from '../cells/cell.ts'
import { type CacheCounters, SingleFlightCache } from '../hotkeys/single-flight-cache.ts'
import type { WireReceipt } from '../wire/messages.ts'
import type { NodeContext } from './node-context.ts'

const ENTRIES_MAX = 4_096
const BYTES_MAX = 16 * 1024 * 1024
/** A receipt and the frame of a cell. */
const ANSWER_BYTES = 512

export interface ReadAnswer {
  readonly cell: Cell | undefined
  readonly receipt: WireReceipt
}

interface KeptAnswer extends ReadAnswer {
  readonly version: number
}

export class HotReads {
  readonly #node: NodeContext
  readonly #cache: SingleFlightCache<KeptAnswer> | undefined

  constructor(node: NodeContext, leaseMs: number) {
    this.#node = node
    if (leaseMs === 0) return
    const cache = new SingleFlightCache<KeptAnswer>({
      leaseMs,
      entriesMax: ENTRIES_MAX,
      bytesMax: BYTES_MAX,
      sizeOf: ({ cell }) =>
        (cell?.values ?? []).reduce((sum, { value }) => sum + (value?.length ?? 0), ANSWER_BYTES),
    })
    this.#cache = cache
    node.rows.onShown = key => cache.invalidate(key)
  }

  get counters(): CacheCounters | undefined {
    return this.#cache?.counters
  }

  /** Undefined: this read is none of ours. `load`: a read of its own. */
  find(
    view: TableView,
    key: ByteString,
    needed: number,
    load: () => Promise<ReadAnswer>,
  ): Promise<ReadAnswer> | undefined {
    if (this.#cache === undefined || needed !== 1) return undefined
    const { self, clock, hot } = this.#node
    const partition = view.map.locate(key)
    const { id, version, move, replicas } = partition
    if (move !== undefined || !replicas.includes(self) || !this.#node.isReady(view, partition))
      return undefined
    let isOwn = false
    const loadOwn = async (): Promise<KeptAnswer> => {
      isOwn = true
      return { ...(await load()), version }
    }
    return this.#cache
      .get(key, clock.monotonicMs(), loadOwn, kept => kept.version === version && isOf(self, kept))
      .catch((error: unknown) => {
        if (isOwn) throw error
        return loadOwn()
      })
      .then(answer => {
        // A read flow counts itself.
        if (!isOwn) {
          hot.noteRead(view.descriptor.id, id, placeOfKey(view, key).row, clock.monotonicMs())
          this.#node.counters.reads++
        }
        return answer
      })
  }
}

/** Did this node's own store answer, and nothing else? */
const isOf = (self: NodeId, { receipt }: ReadAnswer): boolean =>
  receipt.homes.length === 1 && receipt.homes[0] === self && receipt.fallbacks.length === 0
