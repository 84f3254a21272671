/**
 * A node that lost its store (emptied, or damaged beyond the log's help) and came back under a new
 * incarnation: what it may say before it has been rebuilt.
 *
 * A write acknowledged by W homes may have had its copy here. So this home answers no reads of a
 * partition until it has pulled everything from enough of the other homes to have met each such write:
 * N − W + 1 of them (all N − 1 when W is 1). It takes writes from the first moment. The flag is durable
 * before the cluster learns the new incarnation, and goes when every partition is ready.
 */

import { isQuorateError } from '../base/errors.ts'
import type { ByteString, NodeId, Stamp } from '../base/ids.ts'
import type { Catalog, TableView } from '../catalog/catalog.ts'
import { copiesAcknowledged } from '../catalog/replication-settings.ts'
import { ledOf } from '../catalog/table-descriptor.ts'
import { othersNeeded } from '../leaderless/damage-healer.ts'
import { lossMark, promiseFloor } from '../leaderless/losses.ts'
import type { Partition } from '../partitioning/partition-map.ts'
import { keyspaces } from '../store/keyspace.ts'
import { durable, type Store } from '../store/store-face.ts'

const FLAG_KEY = `${keyspaces.meta}rebuild` as ByteString

export class Rebuild {
  readonly #store: Store
  readonly #self: NodeId
  /**
   * Peers pulled from since the start of this process, by table, id, bounds and homes: a partition that another one
   * has joined keeps its id, and what was pulled before was of a part of it; and a write that W of the old homes and,
   * apart, W of the new ones have may be missing on some old and some new ones that are enough together.
   */
  readonly #pulled = new Map<string, Set<NodeId>>()
  /** Table, id and bounds of what has been pulled from enough homes of one set: so it stays when the homes change. */
  readonly #ready = new Set<string>()
  readonly #latest: () => Stamp
  #pending: boolean

  /** `latest`: no stamp is later, whoever's clock it is of. */
  constructor(store: Store, self: NodeId, latest: () => Stamp) {
    this.#store = store
    this.#latest = latest
    this.#self = self
    this.#pending = store.get(FLAG_KEY) !== undefined
  }

  get pending(): boolean {
    return this.#pending
  }

  async begin(): Promise<void> {
    if (this.#pending) return
    // Throws when the store is full, with nothing begun: a flag in memory only would not outlive a restart.
    const position = this.#store.commit([
      { key: FLAG_KEY, value: new Uint8Array([1]) },
      lossMark,
      promiseFloor(this.#latest()),
    ])
    this.#pending = true
    await durable(this.#store, position)
  }

  pulled(view: TableView, id: number, peer: NodeId): void {
    const partition = view.map.find(id)
    if (!this.#pending || partition === undefined || ledOf(view.descriptor) !== undefined) return
    const name = nameOf(view, partition)
    const key = `${name}\0\0${[...partition.replicas].sort().join()}`
    const peers = this.#pulled.get(key) ?? new Set()
    this.#pulled.set(key, peers.add(peer))
    if (peers.size >= needed(view, partition)) this.#ready.add(name)
  }

  /** Its leader has given back everything that this node had of the partition. */
  filled(view: TableView, partition: Partition): void {
    if (this.#pending) this.#ready.add(nameOf(view, partition))
  }

  isReady(view: TableView, partition: Partition): boolean {
    if (!this.#pending) return true
    if (this.#ready.has(nameOf(view, partition))) return true
    // Of a partition with a leader the log says what was here: others' rows do not.
    return ledOf(view.descriptor) === undefined && needed(view, partition) === 0
  }

  /** Partitions of which this node is a home: ready ones and all. */
  progress(catalog: Catalog): { ready: number; total: number } {
    let ready = 0
    let total = 0
    for (const view of catalog.views()) {
      for (const partition of view.map.partitions) {
        if (!partition.replicas.includes(this.#self)) continue
        total++
        if (this.isReady(view, partition)) ready++
      }
    }
    return { ready, total }
  }

  /** Lifts the flag when everything is ready; what was pulled is durable by then. */
  finishWhenReady(catalog: Catalog): void {
    if (!this.#pending || catalog.members.members.length === 0 || !catalog.isComplete) return
    const { ready, total } = this.progress(catalog)
    if (ready < total) return
    try {
      this.#store.commit([{ key: FLAG_KEY, value: undefined }])
      this.#pending = false
    } catch (error) {
      // A full store: the flag is lifted at a later call.
      if (!isQuorateError(error)) throw error
    }
  }
}

const needed = ({ descriptor }: TableView, { replicas }: Partition): number =>
  othersNeeded(replicas.length, copiesAcknowledged(descriptor.replication))

const nameOf = ({ descriptor }: TableView, { id, from, to }: Partition): string =>
  `${descriptor.id}/${id}/${from}\0\0${to}`
