/**
 * How a node takes part in what the cluster agrees on: genesis, the acceptor on its store, registers,
 * gossip, and the catalog that follows from them.
 *
 * Order at the start: gossip and acceptor serve at once; the first start of all voters makes the genesis;
 * then the members register is created from the configuration by compare-and-set, and each node sees to
 * it that its own entry names its store and addresses. A node whose entry names another store has lost
 * its disk: it flags its rebuild durably, then announces itself, then has its acceptor replaced.
 */

import { utf8 } from '../base/bytes.ts'
import { QuorateError } from '../base/errors.ts'
import type { ByteString, NodeId, OperationId, PeerId } from '../base/ids.ts'
import { randomBelow, randomByteString } from '../base/prng.ts'
import type { Catalog } from '../catalog/catalog.ts'
import {
  decodeMembers,
  decodeTables,
  encodeMembers,
  encodeTables,
  type MembersState,
  noTables,
  REGISTER_MEMBERS,
  REGISTER_TABLES,
  type TablesState,
} from '../catalog/cluster-state.ts'
import { Membership } from '../membership/membership.ts'
import type { Clock } from '../ports/clock.ts'
import { pause } from '../ports/pause.ts'
import type { Random } from '../ports/random.ts'
import { AcceptorHost, beginProposerLife } from '../register/acceptor-host.ts'
import { agreeOnCluster } from '../register/cluster-identity.ts'
import { encodeGenesis } from '../register/genesis.ts'
import type { Proposer } from '../register/proposer.ts'
import { encodeConfig, type RegisterConfig } from '../register/register-config.ts'
import {
  EmbeddedRegisters,
  type MakeRegisters,
  type OpenRegisters,
  type Registers,
} from '../register/registers.ts'
import { keyspaces } from '../store/keyspace.ts'
import { commitDurably, DAMAGED, type Store } from '../store/store-face.ts'
import { gossipMessage, type JoinRequest, registerMessage } from '../wire/messages.ts'
import type { Rpc } from '../wire/rpc.ts'
import { admission, admitted, refuseOtherCluster } from './admittance.ts'
import { CatalogKeeper } from './catalog-keeper.ts'
import { firstMembers, noIncarnation } from './first-members.ts'
import { Forming } from './forming.ts'
import { askToJoin } from './joining.ts'
import { localProposer } from './local-proposer.ts'
import { MapKeeper } from './map-keeper.ts'
import { initialVoters, type JoinConfig, type NodeConfig } from './node-config.ts'
import type { Rebuild } from './rebuild.ts'
import { replaceOwnAcceptor, settleVoters } from './voters.ts'

const IDENTITY_KEY = `${keyspaces.meta}identity` as ByteString
const RETRY_MS = 500
const POLL_MS = 10_000
const VERSION_PREFIX = 'v:'

export interface CoordinationOptions {
  readonly config: NodeConfig
  readonly store: Store
  readonly rpc: Rpc
  readonly clock: Clock
  readonly random: Random
  readonly catalog: Catalog
  readonly rebuild: Rebuild
  /** Registers held elsewhere; without them the voters of the configuration hold them. */
  readonly registers?: MakeRegisters | undefined
  /** Something only an operator can settle. */
  readonly onTrouble: (message: string) => void
  /** The cluster does not take this node: something only an operator can settle, and with this node stopped. */
  readonly onRefused: (error: QuorateError) => void
}

export class Coordination {
  readonly #options: CoordinationOptions
  readonly #self: NodeId
  readonly #acceptor: AcceptorHost
  readonly #forming: Forming
  #proposer: Proposer | undefined
  #registers: Registers | undefined
  /** Registers held elsewhere, from before it is known whether they are this cluster's. */
  #external: OpenRegisters | undefined
  #identity = ''
  #life = 0
  #stopped = false
  #announced = false
  membership: Membership
  readonly maps: MapKeeper
  readonly #keeper: CatalogKeeper

  constructor(options: CoordinationOptions) {
    this.#options = options
    const { config, store, clock, random } = options
    this.#self = config.id
    this.#acceptor = new AcceptorHost({ node: config.id, store })
    const { catalog, rpc } = options
    this.maps = new MapKeeper({ catalog, store, rpc, registers: () => this.#registers })
    this.#keeper = new CatalogKeeper({
      self: config.id,
      configured: config.members,
      catalog,
      store,
      rpc,
      random,
      maps: this.maps,
      registers: () => this.#registers,
      clusterId: () => this.clusterId,
      mayFollow: () => this.#announced,
      onMembers: () => this.#followMembers(),
      onRemoved: () => options.onRefused(this.#removedError()),
      onVoters: voters => this.#proposer?.learn(voters),
    })
    this.#keeper.load()
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
      const moved = this.#movedRegisters()
      if (moved !== undefined) this.#options.onTrouble(moved)
      else if (this.#options.registers === undefined) this.#forming.start()
      else if (this.#options.config.join === undefined) void this.#useExternal(this.#options.registers)
      const { join } = this.#options.config
      if (join !== undefined && moved === undefined) void this.#askToJoin(join)
    })
  }

  /** Registers stay where they were when this node first knew its cluster: elsewhere a second history would begin. */
  #movedRegisters(): string | undefined {
    const { store, catalog, registers } = this.#options
    const wereExternal = store.get(IDENTITY_KEY) !== undefined
    const wereEmbedded = !wereExternal && catalog.members.version > 0
    if (registers === undefined ? !wereExternal : !wereEmbedded) return undefined
    const were = wereExternal ? 'in a coordination service' : 'on its nodes'
    return `the registers of this node's cluster are held ${were}; coordination says otherwise, and they cannot be moved`
  }

  get clusterId(): string {
    return this.#options.registers === undefined ? this.#forming.clusterId : this.#identity
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
    this.#keeper.stop()
    this.#forming.stop()
    this.membership.stop()
    void this.#external?.close()
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

  /** Told of a change of a gossiped key. */
  readonly gossipListeners: ((node: NodeId, key: string, value: string | number | undefined) => void)[] = []

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
    this.#proposer = localProposer({
      self: this.#self,
      life: this.#life,
      config,
      acceptor: this.#acceptor,
      store,
      clock,
      random,
      rpc,
    })
    this.#registers = new EmbeddedRegisters({
      proposer: this.#proposer,
      onVersion: (key, version) => this.membership.set(VERSION_PREFIX + key, version),
    })
    this.#followRegisters(this.#registers)
  }

  #followRegisters(registers: Registers): void {
    for (const key of [REGISTER_MEMBERS, REGISTER_TABLES]) {
      registers.watch(key as ByteString, () => void this.refresh())
    }
    void this.#join()
  }

  /** No genesis and no acceptors: the registers are there, once it is known that they are this cluster's. */
  async #useExternal(make: MakeRegisters): Promise<void> {
    const { store, clock, random, onTrouble } = this.#options
    const external = make({ clock, random })
    this.#external = external
    const stored = store.get(IDENTITY_KEY)
    const known = stored === undefined || stored === DAMAGED ? undefined : utf8.decode(stored)
    this.#identity = known ?? ''
    let told = ''
    while (!this.#stopped) {
      try {
        const identity = await agreeOnCluster(external, random, known)
        if (known === undefined)
          await commitDurably(store, [{ key: IDENTITY_KEY, value: utf8.encode(identity) }])
        if (this.#stopped) return
        this.#identity = identity
        this.#registers = external
        return this.#followRegisters(external)
      } catch (error) {
        if (!(error instanceof QuorateError)) throw error
        if (error.code === 'WRONG_CLUSTER' && told !== error.message) onTrouble(error.message)
        told = error.message
      }
      await pause(clock, RETRY_MS)
    }
  }

  operation(): OperationId {
    return randomByteString(this.#options.random, 16) as OperationId
  }

  async #askToJoin(join: JoinConfig): Promise<void> {
    const { catalog, onTrouble } = this.#options
    const isOver = (): boolean => this.#stopped || this.#registers !== undefined
    const joined = await askToJoin({ ...this.#options, join, operation: this.operation(), isOver })
    if (joined === undefined || isOver()) return
    catalog.learn({ members: joined.members })
    this.#followMembers()
    const { origin } = joined
    if (origin !== undefined) this.#forming.joined(joined.by, origin.genesis, origin.voters)
    else if (this.#options.registers !== undefined) await this.#useExternal(this.#options.registers)
    else onTrouble('the cluster holds its registers in a coordination service, and this node was given none')
  }

  /** As a document; empty when nodes do not hold the registers, or it is not known here who does. */
  voters(): Uint8Array {
    return this.#proposer === undefined ? new Uint8Array(0) : encodeConfig(this.#proposer.config)
  }

  /** Lets a node in that is to become a member: staged, it owns nothing before a plan is committed. */
  async admit(
    request: JoinRequest,
  ): Promise<{ genesis: Uint8Array; voters: Uint8Array; members: Uint8Array }> {
    const { origin } = this.#forming
    const proposer = this.#proposer
    const isEmbedded = this.#options.registers === undefined
    if (!this.#announced || (isEmbedded && (origin === undefined || proposer === undefined)))
      throw new QuorateError('NOT_READY', 'the cluster has not formed yet: nobody can join it')
    refuseOtherCluster(request, this.clusterId)
    await this.refresh()
    if (admitted(this.#options.catalog.members, request) !== 'known')
      await this.changeMembers(members => admission(members, request))
    return {
      genesis: origin === undefined ? new Uint8Array(0) : encodeGenesis(origin),
      voters: this.voters(),
      members: encodeMembers(this.#options.catalog.members),
    }
  }

  #removedError(): QuorateError {
    const message = `${this.#self} is no member of cluster ${this.clusterId} (any more): to come back it must be started with an empty data directory and --join`
    return new QuorateError('CONFLICT', message)
  }

  async #join(): Promise<void> {
    while (!this.#stopped) {
      try {
        if (await this.#announce()) break
      } catch (error) {
        if (!(error instanceof QuorateError)) throw error
        // No quorum of the voters known here: there may be others by now, whom a member can name.
        await this.#keeper.askPeer()
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
      const isExternal = this.#options.registers !== undefined
      if (!isExternal && this.#forming.genesis === undefined) return false
      const first = firstMembers(this.#options.config, this.#forming.genesis?.voters ?? [])
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

  /** Registers held elsewhere have no acceptors here. */
  async #replaceOwnAcceptor(): Promise<boolean> {
    const proposer = this.#proposer
    return proposer === undefined || replaceOwnAcceptor(proposer, this.#self, this.#options.store)
  }

  async #poll(): Promise<void> {
    while (!this.#stopped) {
      await this.refresh()
      await this.maps.follow()
      await this.maps.lookAgain()
      await pause(this.#options.clock, POLL_MS)
    }
  }

  refresh(): Promise<void> {
    return this.#keeper.refresh()
  }

  #noMajority(): string {
    if (this.#options.registers !== undefined) return 'the coordination service did not answer in time'
    const voters = this.config?.acceptors.map(acceptor => acceptor.node) ?? []
    const down = voters.filter(voter => this.membership.isSuspected(voter))
    const suspected = down.length === 0 ? '' : `; suspected down: ${down.join(', ')}`
    return `no majority of its ${voters.length} voters (${voters.join(', ')}) answered in time${suspected}`
  }

  #unchanged(what: string, outcome: { kind: 'not-applied' | 'unknown'; reason: string }): QuorateError {
    const { kind, reason } = outcome
    const message = `${what} could not be changed: ${this.#noMajority()}`
    return new QuorateError('UNAVAILABLE', message, { outcome: kind, data: { reason } })
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
    if (outcome.kind !== 'committed') throw this.#unchanged('the members', outcome)
    await this.refresh()
    return decodeMembers(outcome.current.value!)
  }

  /** Sees to it that the registers are held by active members. False when that is not so yet. */
  async settleVoters(): Promise<boolean> {
    if (this.#options.registers !== undefined) return true
    const eligible = this.#options.catalog.members.members.filter(
      ({ state, incarnation }) => state === 'active' && incarnation !== noIncarnation,
    )
    return this.#proposer !== undefined && settleVoters(this.#proposer, eligible)
  }

  async readTables(timeoutMs: number): Promise<TablesState> {
    const unread = (error: Error): never => {
      throw this.#unchanged('the list of tables', { kind: 'not-applied', reason: error.message })
    }
    const found = await this.registers.read(REGISTER_TABLES as ByteString, { timeoutMs }).catch(unread)
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
    if (outcome.kind === 'not-applied' || outcome.kind === 'unknown')
      throw this.#unchanged('the list of tables', outcome)
    await this.refresh()
    if (outcome.kind === 'rejected') throw new QuorateError('TABLE_EXISTS', outcome.reason)
    return outcome.current.value === undefined ? noTables : decodeTables(outcome.current.value)
  }
}
