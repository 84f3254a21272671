/**
 * How a node takes part in what the cluster agrees on: genesis, the acceptor on its store, registers,
 * gossip, and the catalog that follows from them.
 *
 * Order at the start: gossip and acceptor serve at once; the first start of all voters makes the genesis;
 * then the members register is created from the configuration by compare-and-set, and each node sees to
 * it that its own entry names its store and addresses. A node whose entry names another store has lost
 * its disk: it flags its rebuild durably, then announces itself, then has its acceptor replaced.
 */

import { isQuorateError, QuorateError } from '../base/errors.ts'
import type { ByteString, Incarnation, NodeId, OperationId, PeerId, TableId } from '../base/ids.ts'
import { randomBelow, randomByteString } from '../base/prng.ts'
import type { Catalog } from '../catalog/catalog.ts'
import {
  decodeChunk,
  decodeMembers,
  decodeTables,
  encodeMembers,
  encodeTables,
  type MembersState,
  noMembers,
  noTables,
  REGISTER_MEMBERS,
  REGISTER_TABLES,
  type TablesState,
} from '../catalog/cluster-state.ts'
import { Membership } from '../membership/membership.ts'
import { allocateTokens } from '../partitioning/token-allocation.ts'
import type { Clock } from '../ports/clock.ts'
import { pause } from '../ports/pause.ts'
import type { Random } from '../ports/random.ts'
import { AcceptorHost, beginProposerLife } from '../register/acceptor-host.ts'
import { ConfigChange } from '../register/config-change.ts'
import { decodeGenesis, encodeGenesis } from '../register/genesis.ts'
import { Proposer } from '../register/proposer.ts'
import { decodeConfig, encodeConfig, type RegisterConfig, type Voter } from '../register/register-config.ts'
import { EmbeddedRegisters, type Registers } from '../register/registers.ts'
import { keyspaces } from '../store/keyspace.ts'
import { DAMAGED, type Store } from '../store/store-face.ts'
import {
  clusterMessage,
  gossipMessage,
  type JoinRequest,
  joinMessage,
  registerMessage,
} from '../wire/messages.ts'
import type { Rpc } from '../wire/rpc.ts'
import { admitted } from './admittance.ts'
import { Forming, hasGenesis } from './forming.ts'
import { MapKeeper } from './map-keeper.ts'
import { initialVoters, type JoinConfig, type NodeConfig, votersOf } from './node-config.ts'
import type { Rebuild } from './rebuild.ts'

const MEMBERS_KEY = `${keyspaces.meta}members` as ByteString
const TABLES_KEY = `${keyspaces.meta}tables` as ByteString
const RETRY_MS = 500
const POLL_MS = 10_000
const CONFIG_CHANGE_MS = 10_000
const JOIN_MS = 5_000
/** What asking again does not mend, though it is asked again: the other side may change its mind. */
const JOIN_REFUSED: ReadonlySet<string> = new Set(['WRONG_CLUSTER', 'CONFLICT', 'BAD_REQUEST'])
const VERSION_PREFIX = 'v:'
const noIncarnation = '\0\0\0\0\0\0\0\0' as Incarnation

export interface CoordinationOptions {
  readonly config: NodeConfig
  readonly store: Store
  readonly rpc: Rpc
  readonly clock: Clock
  readonly random: Random
  readonly catalog: Catalog
  readonly rebuild: Rebuild
  /** Something only an operator can settle. */
  readonly onTrouble: (message: string) => void
  /** The cluster does not take this node: something only an operator can settle, and with this node stopped. */
  readonly onRefused: (error: QuorateError) => void
}

/** Has the store been in a cluster that it did not form? To start it without asking that cluster would form another. */
export const isJoinedStore = (store: Store): boolean =>
  store.get(MEMBERS_KEY) !== undefined && !hasGenesis(store)

export class Coordination {
  readonly #options: CoordinationOptions
  readonly #self: NodeId
  readonly #acceptor: AcceptorHost
  readonly #forming: Forming
  #proposer: Proposer | undefined
  #registers: EmbeddedRegisters | undefined
  #life = 0
  #stopped = false
  #refreshing = false
  #refreshAgain = false
  #announced = false
  membership: Membership
  readonly maps: MapKeeper

  constructor(options: CoordinationOptions) {
    this.#options = options
    const { config, store, clock, random } = options
    this.#self = config.id
    this.#acceptor = new AcceptorHost({ node: config.id, store })
    const { catalog, rpc } = options
    this.maps = new MapKeeper({ catalog, store, rpc, registers: () => this.#registers })
    this.#loadCatalog()
    this.#forming = new Forming({
      config,
      store,
      rpc: options.rpc,
      clock,
      acceptor: this.#acceptor,
      onFormed: formed => this.#startRegisters(formed),
      onTrouble: options.onTrouble,
    })
    this.membership = this.#newMembership(0, clock, random)
    this.#serve()
    this.#begin()
  }

  /** A full store takes no new life: it is tried again, and reads are served from what is known meanwhile. */
  #begin(): void {
    const { store, clock, random } = this.#options
    if (this.#stopped) return
    try {
      this.#beginLife(store, clock, random)
    } catch (error) {
      if (!(error instanceof QuorateError)) throw error
      clock.setTimer(RETRY_MS, () => this.#begin())
    }
  }

  #beginLife(store: Store, clock: Clock, random: Random): void {
    beginProposerLife(store, life => {
      if (this.#stopped) return
      this.#life = life
      // Chance in the low digits tells lives apart that a lost store would count alike.
      const generation = life * 0x1_0000 + randomBelow(random, 0x1_0000)
      this.membership = this.#newMembership(generation, clock, random)
      this.#followMembers()
      this.membership.start()
      this.#forming.start()
      const { join } = this.#options.config
      if (join !== undefined) void this.#askToJoin(join)
    })
  }

  get clusterId(): string {
    return this.#forming.clusterId
  }

  get hasRegisters(): boolean {
    return this.#registers !== undefined
  }

  get registers(): Registers {
    if (this.#registers === undefined)
      throw new QuorateError('NOT_READY', 'the cluster has not formed yet: not all initial voters have met')
    return this.#registers
  }

  get config(): RegisterConfig | undefined {
    return this.#proposer?.config
  }

  stop(): void {
    this.#stopped = true
    this.#forming.stop()
    this.membership.stop()
  }

  #newMembership(generation: number, clock: Clock, random: Random): Membership {
    const { config, rpc } = this.#options
    const membership = new Membership({
      self: config.id,
      generation,
      clock,
      random,
      network: { send: (node, body) => rpc.tell(node as string as PeerId, gossipMessage, { body }) },
      seeds: initialVoters(config.members),
      intervalMs: config.tuning.gossipIntervalMs,
    })
    membership.onChange((node, key, value) => {
      if (key.startsWith(VERSION_PREFIX) && typeof value === 'number') {
        this.#registers?.noticed(key.slice(VERSION_PREFIX.length) as ByteString, value)
      }
      for (const listener of this.gossipListeners) listener(node, key, value)
    })
    return membership
  }

  /** Told of every change of a peer's gossiped keys. */
  readonly gossipListeners: ((node: NodeId, key: string, value: string | number | undefined) => void)[] = []

  #loadCatalog(): void {
    const { store, catalog } = this.#options
    const members = store.get(MEMBERS_KEY)
    const tables = store.get(TABLES_KEY)
    this.maps.load()
    if (members === undefined || members === DAMAGED) return
    catalog.learn({
      members: decodeMembers(members),
      tables: tables === undefined || tables === DAMAGED ? noTables : decodeTables(tables),
    })
  }

  #followMembers(): void {
    const { catalog, config, rpc } = this.#options
    const known = catalog.members.members
    const members = known.length > 0 ? known : config.members
    this.membership.setMembers(members.map(member => member.id))
    for (const member of members) {
      if (member.id !== this.#self) rpc.route(member.id as string as PeerId, member.address)
    }
  }

  #serve(): void {
    const { rpc } = this.#options
    rpc.handle(gossipMessage, (request, _, from) =>
      this.membership.receive(from as string as NodeId, request.body),
    )
    rpc.handle(registerMessage, (request, respond) =>
      this.#acceptor.handle(request.body, body => respond.ok({ body })),
    )
  }

  #startRegisters(config: RegisterConfig): void {
    if (this.#registers !== undefined || this.#stopped) return
    const { store, clock, random, rpc } = this.#options
    this.#proposer = new Proposer({
      node: this.#self,
      incarnation: store.incarnation,
      life: this.#life,
      clock,
      random,
      config,
      client: {
        request: (node, body, deadlineMs, onReply) => {
          const timeoutMs = Math.max(1, deadlineMs - clock.monotonicMs())
          if (node === this.#self) {
            let answered = false
            const once = (reply: Parameters<typeof onReply>[0]): void => {
              if (!answered) onReply(reply)
              answered = true
            }
            clock.defer(() => this.#acceptor.handle(body, once))
            clock.setTimer(timeoutMs, () => once(undefined))
            return
          }
          rpc.call([node as string as PeerId], registerMessage, { body }, timeoutMs, (_, reply) =>
            onReply(reply?.body),
          )
        },
      },
    })
    this.#registers = new EmbeddedRegisters({
      proposer: this.#proposer,
      onVersion: (key, version) => this.membership.set(VERSION_PREFIX + key, version),
    })
    for (const key of [REGISTER_MEMBERS, REGISTER_TABLES]) {
      this.#registers.watch(key as ByteString, () => void this.refresh())
    }
    void this.#join()
  }

  // ── members ──

  operation(): OperationId {
    return randomByteString(this.#options.random, 16) as OperationId
  }

  /** A node that joins asks the members, again at every start: so it hears who holds the registers now. */
  async #askToJoin(join: JoinConfig): Promise<void> {
    const { clock, catalog, config, store, rpc } = this.#options
    const operation = this.operation()
    const { id, address, http, zone, region, weight } = config.members[0]!
    for (let turn = 0; !this.#stopped && this.#registers === undefined; turn++) {
      const known = catalog.members.members
        .filter(member => member.id !== this.#self)
        .map(member => ({ peer: member.id as string as PeerId, address: member.address }))
      const seeds = [...join.seeds, ...known]
      const { peer, address: asked } = seeds[turn % seeds.length]!
      rpc.route(peer, asked)
      try {
        const reply = await rpc.request(
          peer,
          joinMessage,
          {
            operation,
            cluster: join.cluster,
            node: id,
            incarnation: store.incarnation,
            address,
            http,
            zone,
            region,
            weight,
            newZone: join.newZone,
          },
          JOIN_MS,
        )
        catalog.learn({ members: decodeMembers(reply.members) })
        this.#followMembers()
        this.#forming.joined(
          asked as string as NodeId,
          decodeGenesis(reply.genesis),
          decodeConfig(reply.voters),
        )
        return
      } catch (error) {
        if (!(error instanceof QuorateError)) throw error
        if (JOIN_REFUSED.has(error.code))
          this.#options.onRefused(
            new QuorateError(error.code, `${asked} refuses to let ${id} join: ${error.message}`, {
              data: error.data,
            }),
          )
        await pause(clock, RETRY_MS)
      }
    }
  }

  /** Lets a node in that is to become a member: staged, it owns nothing before a plan is committed. */
  async admit(
    request: JoinRequest,
  ): Promise<{ genesis: Uint8Array; voters: Uint8Array; members: Uint8Array }> {
    const { origin } = this.#forming
    const proposer = this.#proposer
    if (origin === undefined || proposer === undefined || !this.#announced)
      throw new QuorateError('NOT_READY', 'the cluster has not formed yet: nobody can join it')
    if (request.cluster !== '' && request.cluster !== origin.clusterId) {
      throw new QuorateError(
        'WRONG_CLUSTER',
        `"${request.node}" was told to join cluster ${request.cluster}, this is cluster ${origin.clusterId}`,
        { data: { cluster: origin.clusterId, asked: request.cluster } },
      )
    }
    await this.refresh()
    const before = this.#options.catalog.members
    if (admitted(before, request) !== 'known')
      await this.changeMembers(members => {
        try {
          const result = admitted(members, request)
          return result === 'known' ? members : { ...members, members: result }
        } catch (error) {
          if (!isQuorateError(error)) throw error
          return error.message
        }
      })
    return {
      genesis: encodeGenesis(origin),
      voters: encodeConfig(proposer.config),
      members: encodeMembers(this.#options.catalog.members),
    }
  }

  async #join(): Promise<void> {
    while (!this.#stopped) {
      try {
        if (await this.#announce()) break
      } catch (error) {
        if (!(error instanceof QuorateError)) throw error
        // No quorum of voters yet: keep trying, that is all a starting node can do. Unless it is no member any
        // more: then the voters do not talk to it at all, and a peer says why.
        await this.#hearOfRemoval()
      }
      await pause(this.#options.clock, RETRY_MS)
    }
    void this.#poll()
    while (!this.#stopped && !(await this.#replaceOwnAcceptor())) await pause(this.#options.clock, RETRY_MS)
  }

  /** Makes the members register name this node's store and addresses; true when it does. */
  async #announce(): Promise<boolean> {
    const { config, store, rebuild } = this.#options
    const key = REGISTER_MEMBERS as ByteString
    const found = await this.registers.read(key)
    if (found.value === undefined) {
      if (this.#forming.genesis === undefined) return false
      const first = this.#firstMembers(this.#forming.genesis.voters)
      await this.registers.change(
        key,
        current => (current === undefined ? { value: encodeMembers(first) } : { reject: 'exists' }),
        this.operation(),
      )
      return false
    }
    const state = decodeMembers(found.value)
    const own = state.members.find(member => member.id === this.#self)
    if (own === undefined) {
      this.#options.onRefused(this.#removedError())
      this.#announced = true
      await this.refresh()
      return true
    }
    if (own.incarnation !== store.incarnation && own.incarnation !== noIncarnation) await rebuild.begin()
    const wanted = config.members.find(member => member.id === this.#self)!
    if (own.incarnation === store.incarnation && own.address === wanted.address && own.http === wanted.http) {
      this.#announced = true
      await this.refresh()
      return true
    }
    const { incarnation } = store
    await this.registers.change(
      key,
      current => {
        if (current === undefined) return { reject: 'gone' }
        const before = decodeMembers(current)
        const members = before.members.map(member =>
          member.id === this.#self
            ? { ...member, incarnation, address: wanted.address, http: wanted.http }
            : member,
        )
        return { value: encodeMembers({ ...before, version: before.version + 1, members }) }
      },
      this.operation(),
    )
    return false
  }

  #removedError(): QuorateError {
    return new QuorateError(
      'CONFLICT',
      `${this.#self} is no member of cluster ${this.clusterId} (any more): to come back it must be started with an empty data directory and --join`,
    )
  }

  /** Has this store been removed while it was away? Nothing is learned from the answer but that. */
  async #hearOfRemoval(): Promise<void> {
    const { catalog, rpc, random, store } = this.#options
    // Only who was a member can have been removed.
    const others = catalog.members.members.filter(member => member.id !== this.#self)
    if (others.length === 0 || this.#stopped) return
    const other = others[randomBelow(random, others.length)]!
    try {
      const asked = { knownMembers: 0, knownTables: 0 }
      const reply = await rpc.request(other.id as string as PeerId, clusterMessage, asked, RETRY_MS)
      if (reply.clusterId !== this.clusterId || this.#stopped) return
      const { removed } = decodeMembers(reply.members)
      if (removed.some(gone => gone.incarnation === store.incarnation))
        this.#options.onRefused(this.#removedError())
    } catch (error) {
      if (!isQuorateError(error)) throw error
      // Nobody can be asked now: another is, at the next try.
    }
  }

  #firstMembers(voters: readonly Voter[]): MembersState {
    const { members, tuning } = this.#options.config
    const tokens = allocateTokens(members, [], {
      tokensPerNode: tuning.tokensPerNode,
      replicaCount: 3,
      random: tuning.randomTokens,
    })
    return {
      ...noMembers,
      version: 1,
      members: members.map(member => ({
        ...member,
        state: 'active' as const,
        incarnation: voters.find(voter => voter.node === member.id)?.incarnation ?? noIncarnation,
        tokens: tokens.get(member.id)!,
      })),
    }
  }

  /** A voter on a new disk is a new acceptor: the old one must go and this one come, by a change of acceptors. */
  async #replaceOwnAcceptor(): Promise<boolean> {
    const { store, clock } = this.#options
    const proposer = this.#proposer!
    const { acceptors, joint } = proposer.config
    const inForce = acceptors.find(id => id.node === this.#self)
    const isVoter = inForce !== undefined
    if (joint === undefined && (!isVoter || inForce?.incarnation === store.incarnation)) return true
    const target = acceptors.map(id => ({
      node: id.node,
      incarnation: id.node === this.#self ? store.incarnation : id.incarnation,
    }))
    const change = new ConfigChange(proposer, clock.monotonicMs() + CONFIG_CHANGE_MS)
    const outcome = await change.run(target)
    return outcome.kind === 'done'
  }

  // ── catalog ──

  async #poll(): Promise<void> {
    while (!this.#stopped) {
      await this.refresh()
      await this.maps.follow()
      await pause(this.#options.clock, POLL_MS)
    }
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
        await this.#readRegisters()
      } while (this.#refreshAgain && !this.#stopped)
    } finally {
      this.#refreshing = false
    }
  }

  async #readRegisters(): Promise<void> {
    // Before it is known whether this store is the one the cluster means, no map may be followed: a wiped
    // node that took its place at once would answer reads with nothing.
    if (this.#registers === undefined || !this.#announced) return
    const { catalog, store } = this.#options
    try {
      const members = await this.#registers.read(REGISTER_MEMBERS as ByteString)
      const tables = await this.#registers.read(REGISTER_TABLES as ByteString)
      if (this.#stopped || members.value === undefined) return
      const state = decodeMembers(members.value)
      const defined = tables.value === undefined ? noTables : decodeTables(tables.value)
      if (state.version <= catalog.members.version && defined.version <= catalog.tables.version) return
      catalog.learn({ members: state, tables: defined })
      this.#followMembers()
      await this.maps.follow()
      store.commit([
        { key: MEMBERS_KEY, value: encodeMembers(catalog.members) },
        { key: TABLES_KEY, value: encodeTables(catalog.tables) },
      ])
    } catch (error) {
      if (!(error instanceof QuorateError)) throw error
      // No quorum now: what is known stays in use; versions on requests keep it honest.
      await this.#askPeer()
    }
  }

  /**
   * What one of the members knows, when the registers cannot be read: versions say what is newer, whoever says
   * it. A node that has been removed hears of it only so.
   */
  async #askPeer(): Promise<void> {
    const { catalog, rpc, random } = this.#options
    const others = catalog.members.members.filter(member => member.id !== this.#self)
    const other = others[randomBelow(random, Math.max(1, others.length))]
    if (other === undefined || this.#stopped) return
    const known = { knownMembers: 0, knownTables: 0 }
    try {
      const reply = await rpc.request(other.id as string as PeerId, clusterMessage, known, RETRY_MS)
      if (reply.clusterId !== this.clusterId || this.#stopped) return
      const state = decodeMembers(reply.members)
      if (state.version <= catalog.members.version) return
      catalog.learn({ members: state, tables: decodeTables(reply.tables) })
      this.#followMembers()
      for (const { table, index, chunk } of reply.maps)
        this.maps.learn(table as TableId, index, decodeChunk(chunk))
    } catch (error) {
      if (!(error instanceof QuorateError)) throw error
      // Nobody can be asked now: the next poll asks another.
    }
  }

  #noMajority(): string {
    const voters = this.config?.acceptors.map(acceptor => acceptor.node) ?? []
    const down = voters.filter(voter => this.membership.isSuspected(voter))
    const suspected = down.length === 0 ? '' : `; suspected down: ${down.join(', ')}`
    return `no majority of its ${voters.length} voters (${voters.join(', ')}) answered in time${suspected}`
  }

  /** Changes the members by compare-and-set; `change` returns what to refuse with instead. */
  async changeMembers(
    change: (before: MembersState) => Omit<MembersState, 'version'> | string,
  ): Promise<MembersState> {
    const outcome = await this.registers.change(
      REGISTER_MEMBERS as ByteString,
      current => {
        if (current === undefined) return { reject: 'the cluster has no members yet' }
        const before = decodeMembers(current)
        const after = change(before)
        return typeof after === 'string'
          ? { reject: after }
          : { value: encodeMembers({ ...after, version: before.version + 1 }) }
      },
      this.operation(),
    )
    if (outcome.kind === 'rejected') throw new QuorateError('CONFLICT', outcome.reason)
    if (outcome.kind !== 'committed') {
      throw new QuorateError('UNAVAILABLE', `the members could not be changed: ${this.#noMajority()}`, {
        outcome: outcome.kind === 'unknown' ? 'unknown' : 'not-applied',
        data: { reason: outcome.reason },
      })
    }
    await this.refresh()
    return decodeMembers(outcome.current.value!)
  }

  /**
   * Sees to it that the registers are held by active members, as many as an odd number up to five allows; those
   * that hold them already keep them. False when that is not so yet.
   */
  async settleVoters(): Promise<boolean> {
    const proposer = this.#proposer
    if (proposer === undefined) return false
    const active = this.#options.catalog.members.members.filter(
      ({ state, incarnation }) => state === 'active' && incarnation !== noIncarnation,
    )
    const { acceptors, joint } = proposer.config
    const count = votersOf(active.length)
    const kept = acceptors.filter(voter => active.some(member => member.id === voter.node)).slice(0, count)
    const others = active.filter(member => !kept.some(voter => voter.node === member.id))
    const nodes = [...kept.map(voter => voter.node), ...others.map(member => member.id)].slice(0, count)
    if (joint === undefined && nodes.length === acceptors.length && kept.length === acceptors.length)
      return true
    const target = nodes.map(node => ({
      node,
      incarnation: active.find(member => member.id === node)!.incarnation,
    }))
    const change = new ConfigChange(proposer, this.#options.clock.monotonicMs() + CONFIG_CHANGE_MS)
    const outcome = await change.run(target)
    return outcome.kind === 'done'
  }

  async readTables(timeoutMs: number): Promise<TablesState> {
    const found = await this.registers.read(REGISTER_TABLES as ByteString, { timeoutMs })
    return found.value === undefined ? noTables : decodeTables(found.value)
  }

  /** Adds a table by compare-and-set. Returns the tables as they are then. */
  async changeTables(
    change: (before: TablesState) => TablesState | string,
    operation: OperationId,
    timeoutMs: number,
  ): Promise<TablesState> {
    const outcome = await this.registers.change(
      REGISTER_TABLES as ByteString,
      current => {
        const changed = change(current === undefined ? noTables : decodeTables(current))
        return typeof changed === 'string' ? { reject: changed } : { value: encodeTables(changed) }
      },
      operation,
      { timeoutMs },
    )
    if (outcome.kind === 'not-applied' || outcome.kind === 'unknown') {
      const message = `the list of tables could not be changed: ${this.#noMajority()}`
      throw new QuorateError('UNAVAILABLE', message, {
        outcome: outcome.kind,
        data: { reason: outcome.reason },
      })
    }
    await this.refresh()
    if (outcome.kind === 'rejected') throw new QuorateError('TABLE_EXISTS', outcome.reason)
    return outcome.current.value === undefined ? noTables : decodeTables(outcome.current.value)
  }
}
