/**
 * The client's view of the cluster and its way to a replica.
 *
 * Keeps the catalog (members, tables, maps) up to date: fetched from any node at the start, again when a node
 * does not know a table; when one answers STALE_MAP, the piece of the map that is stale. Requests go straight to a home of the row, spread over the homes; one that
 * failed lately goes to the end of the order.
 */

import {
  Catalog,
  type Clock,
  clusterMessage,
  decodeChunk,
  decodeMembers,
  decodeTables,
  isQuorateError,
  mapMessage,
  type NodeId,
  type Partition,
  type PartitionMap,
  type PeerId,
  QuorateError,
  type Random,
  type Rpc,
  randomShuffle,
  type TableId,
} from '@quorate/core'
import { Attempts } from './attempts.ts'

const AVOID_MS = 1_000
const FETCH_MS = 2_000
const LOOK_MS = 1_000

export interface Seed {
  readonly peer: PeerId
  readonly address: string
}

export class Router {
  readonly catalog = new Catalog()
  readonly #rpc: Rpc
  readonly #clock: Clock
  readonly #random: Random
  readonly #seeds: readonly Seed[]
  readonly #avoid = new Map<string, number>()
  #refreshing: Promise<void> | undefined
  #lookedMs = Number.NEGATIVE_INFINITY
  clusterId = ''
  /** Where this client is: nodes there are asked first where any will do. */
  near: { readonly zone?: string | undefined; readonly region?: string | undefined } = {}

  constructor(rpc: Rpc, clock: Clock, random: Random, seeds: readonly Seed[]) {
    this.#rpc = rpc
    this.#clock = clock
    this.#random = random
    this.#seeds = seeds
    for (const seed of seeds) rpc.route(seed.peer, seed.address)
  }

  failed(peer: string): void {
    this.#avoid.set(peer, this.#clock.monotonicMs() + AVOID_MS)
  }

  isAvoided(peer: string): boolean {
    const until = this.#avoid.get(peer)
    if (until === undefined) return false
    if (until > this.#clock.monotonicMs()) return true
    this.#avoid.delete(peer)
    return false
  }

  /** Homes first, spread; then the rest of the preference list (any node accepts any request). */
  order(map: PartitionMap, partition: Partition, anyHome = false): NodeId[] {
    const leader = anyHome ? undefined : partition.lead?.leader
    const spread = this.#nearFirst(randomShuffle(this.#random, partition.replicas))
    const homes = leader === undefined ? spread : [leader, ...spread.filter(home => home !== leader)]
    const others = map.preference(partition).slice(partition.replicas.length)
    const all = others.length === 0 ? homes : [...homes, ...others]
    if (this.#avoid.size === 0) return all
    return [...all.filter(node => !this.isAvoided(node)), ...all.filter(node => this.isAvoided(node))]
  }

  /** Homes in the client's own zone first, then those in its region. */
  #nearFirst(homes: readonly NodeId[]): NodeId[] {
    const { zone, region } = this.near
    if (zone === undefined && region === undefined) return [...homes]
    const distance = (home: NodeId): number => {
      const member = this.catalog.member(home)
      if (zone !== undefined && member?.zone === zone) return 0
      return region !== undefined && member?.region === region ? 1 : 2
    }
    return [...homes].sort((a, b) => distance(a) - distance(b))
  }

  /** Asks nodes until one tells the state of the cluster. One refresh at a time serves all who wait. */
  refresh(): Promise<void> {
    this.#refreshing ??= this.#fetch().finally(() => {
      this.#refreshing = undefined
    })
    return this.#refreshing
  }

  /** Asks the node that knows better (or, when it does not answer, any) for one piece of a map. */
  async refreshMap(table: TableId, index: number, informant: PeerId): Promise<void> {
    const { chunk } = await this.#rpc.request(informant, mapMessage, { table, index }, FETCH_MS)
    if (chunk !== undefined) this.catalog.learn({ chunks: [{ table, index, chunk: decodeChunk(chunk) }] })
  }

  /** Asks for the state of the cluster while other things go on, not too often. */
  lookAround(): void {
    const now = this.#clock.monotonicMs()
    if (now < this.#lookedMs + LOOK_MS) return
    this.#lookedMs = now
    this.refresh().catch((error: unknown) => {
      // Whoever needs a node now hears of it; the state in hand may still be right.
      if (!isQuorateError(error)) throw error
    })
  }

  async #fetch(): Promise<void> {
    const members = this.catalog.members.members.map(member => member.id as string as PeerId)
    const shuffled = [
      ...randomShuffle(this.#random, members),
      ...randomShuffle(
        this.#random,
        this.#seeds.map(seed => seed.peer),
      ),
    ]
    const peers = [
      ...shuffled.filter(peer => !this.isAvoided(peer)),
      ...shuffled.filter(peer => this.isAvoided(peer)),
    ]
    const attempts = new Attempts()
    for (const peer of peers) {
      try {
        const known = { knownMembers: 0, knownTables: 0 }
        const reply = await this.#rpc.request(peer, clusterMessage, known, FETCH_MS)
        this.clusterId = reply.clusterId
        const state = decodeMembers(reply.members)
        for (const member of state.members) this.#rpc.route(member.id as string as PeerId, member.address)
        const chunks = reply.maps.map(({ table, index, chunk }) => ({
          table: table as TableId,
          index,
          chunk: decodeChunk(chunk),
        }))
        this.catalog.learn({ members: state, tables: decodeTables(reply.tables), chunks })
        return
      } catch (error) {
        if (isQuorateError(error) && error.code === 'CANCELLED') throw error
        attempts.add(peer, error)
      }
    }
    const known = [...this.catalog.members.members, ...this.#seeds].map(({ address }) => address)
    const message = `no node of the cluster could be reached at ${[...new Set(known)].join(', ')}`
    throw new QuorateError('UNAVAILABLE', message, { attempts: attempts.lines() })
  }
}
