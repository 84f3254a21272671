/**
 * What this node knows of members and tables: read from the registers, kept on disk, or, while the registers
 * cannot be read, heard from another member. Versions say what is newer, whoever says it.
 */

import { QuorateError } from '../base/errors.ts'
import type { ByteString, NodeId, PeerId, TableId } from '../base/ids.ts'
import { randomBelow } from '../base/prng.ts'
import type { Catalog } from '../catalog/catalog.ts'
import {
  decodeChunk,
  decodeMembers,
  decodeTables,
  encodeMembers,
  encodeTables,
  noTables,
  REGISTER_MEMBERS,
  REGISTER_TABLES,
} from '../catalog/cluster-state.ts'
import type { Random } from '../ports/random.ts'
import { decodeConfig, type RegisterConfig } from '../register/register-config.ts'
import type { Registers } from '../register/registers.ts'
import { keyspaces } from '../store/keyspace.ts'
import { DAMAGED, type Store } from '../store/store-face.ts'
import { clusterMessage } from '../wire/messages.ts'
import type { Rpc } from '../wire/rpc.ts'
import { hasGenesis } from './forming.ts'
import type { MapKeeper } from './map-keeper.ts'

const MEMBERS_KEY = `${keyspaces.meta}members` as ByteString
const TABLES_KEY = `${keyspaces.meta}tables` as ByteString
const ASK_MS = 500

export interface CatalogKeeperOptions {
  readonly self: NodeId
  /** Members of the configuration: whom a node asks that knows no others. */
  readonly configured: readonly { readonly id: NodeId }[]
  readonly catalog: Catalog
  readonly store: Store
  readonly rpc: Rpc
  readonly random: Random
  readonly maps: MapKeeper
  readonly registers: () => Registers | undefined
  readonly clusterId: () => string
  /**
   * Before it is known whether this store is the one the cluster means, no map may be followed: a wiped node that
   * took its place at once would answer reads with nothing.
   */
  readonly mayFollow: () => boolean
  readonly onMembers: () => void
  readonly onVoters: (voters: RegisterConfig) => void
  /** This store belonged to a member that has been removed. */
  readonly onRemoved: () => void
}

export class CatalogKeeper {
  readonly #options: CatalogKeeperOptions
  #stopped = false
  #refreshing = false
  #refreshAgain = false

  constructor(options: CatalogKeeperOptions) {
    this.#options = options
  }

  stop(): void {
    this.#stopped = true
  }

  /** Has the store been in a cluster that it did not form? Started without asking that cluster it would form another. */
  static wasElsewhere(store: Store): boolean {
    return store.get(MEMBERS_KEY) !== undefined && !hasGenesis(store)
  }

  /** What was known when this node last ran. */
  load(): void {
    const { store, catalog, maps } = this.#options
    const members = store.get(MEMBERS_KEY)
    const tables = store.get(TABLES_KEY)
    maps.load()
    if (members === undefined || members === DAMAGED) return
    catalog.learn({
      members: decodeMembers(members),
      tables: tables === undefined || tables === DAMAGED ? noTables : decodeTables(tables),
    })
  }

  /** Reads the registers into the catalog; calls that come meanwhile are served by one more round. */
  async refresh(): Promise<void> {
    if (this.#refreshing) {
      this.#refreshAgain = true
      return
    }
    this.#refreshing = true
    try {
      do {
        this.#refreshAgain = false
        await this.#read()
      } while (this.#refreshAgain && !this.#stopped)
    } finally {
      this.#refreshing = false
    }
  }

  async #read(): Promise<void> {
    const { catalog, store, maps, mayFollow, onMembers } = this.#options
    const registers = this.#options.registers()
    if (registers === undefined || !mayFollow()) return
    try {
      const members = await registers.read(REGISTER_MEMBERS as ByteString)
      const tables = await registers.read(REGISTER_TABLES as ByteString)
      if (this.#stopped || members.value === undefined) return
      const state = decodeMembers(members.value)
      const defined = tables.value === undefined ? noTables : decodeTables(tables.value)
      if (state.version <= catalog.members.version && defined.version <= catalog.tables.version) return
      catalog.learn({ members: state, tables: defined })
      onMembers()
      await maps.follow()
      store.commit([
        { key: MEMBERS_KEY, value: encodeMembers(catalog.members) },
        { key: TABLES_KEY, value: encodeTables(catalog.tables) },
      ])
    } catch (error) {
      if (!(error instanceof QuorateError)) throw error
      // No quorum now: what is known stays in use; versions on requests keep it honest.
      await this.askPeer()
    }
  }

  /** A node that has been removed hears of it only so, and one whose voters have all gone of the new ones. */
  async askPeer(): Promise<void> {
    const { catalog, rpc, random, self, store, maps, clusterId, mayFollow } = this.#options
    const { onMembers, onVoters, onRemoved } = this.#options
    const known = catalog.members.members.length > 0 ? catalog.members.members : this.#options.configured
    const others = known.filter(member => member.id !== self)
    const other = others[randomBelow(random, Math.max(1, others.length))]
    if (other === undefined || this.#stopped) return
    const nothing = { knownMembers: 0, knownTables: 0 }
    try {
      const reply = await rpc.request(other.id as string as PeerId, clusterMessage, nothing, ASK_MS)
      if (reply.clusterId !== clusterId() || this.#stopped) return
      if (reply.voters.length > 0) onVoters(decodeConfig(reply.voters))
      const state = decodeMembers(reply.members)
      if (state.removed.some(gone => gone.incarnation === store.incarnation)) onRemoved()
      if (!mayFollow()) return
      if (state.version <= catalog.members.version) return
      catalog.learn({ members: state, tables: decodeTables(reply.tables) })
      onMembers()
      for (const { table, index, chunk } of reply.maps)
        maps.learn(table as TableId, index, decodeChunk(chunk))
    } catch (error) {
      if (!(error instanceof QuorateError)) throw error
      // Nobody can be asked now: the next poll asks another.
    }
  }
}
