/**
 * One node: the whole brain of a server process, over the ports of a world.
 *
 * Composes store, clock, coordination, replica and background tasks, and owns their order at start and
 * stop. Nothing here decides anything about data; that is in the rooms it wires together.
 */

import { QuorateError } from '../base/errors.ts'
import type { NodeId, PeerId, Stamp } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import { randomBelow } from '../base/prng.ts'
import { Catalog, type TableView } from '../catalog/catalog.ts'
import { ClockReservation } from '../causality/clock-reservation.ts'
import { ClusterTime } from '../causality/cluster-time.ts'
import { stampSpan } from '../causality/hybrid-clock.ts'
import type { MergeFunction } from '../cells/merge-functions.ts'
import { MergeModules } from '../cells/merge-modules.ts'
import { ConsensusTables } from '../consensus/consensus-tables.ts'
import { serveRowAcceptor } from '../consensus/row-acceptor.ts'
import { HotPartitions } from '../hotkeys/hot-partitions.ts'
import { Admission } from '../leaderless/admission.ts'
import { type Counters, newCounters } from '../leaderless/counters.ts'
import { Culprit } from '../leaderless/culprit.ts'
import { DamageHealer } from '../leaderless/damage-healer.ts'
import { DataHandlers } from '../leaderless/data-handlers.ts'
import { HintReplayer } from '../leaderless/hint-replayer.ts'
import { HintStore } from '../leaderless/hint-store.ts'
import type { HotReads } from '../leaderless/hot-reads.ts'
import { Ledger } from '../leaderless/ledger.ts'
import type { NodeContext } from '../leaderless/node-context.ts'
import { PartitionDoors } from '../leaderless/partition-doors.ts'
import { RecentOperations } from '../leaderless/recent-operations.ts'
import { RowStore } from '../leaderless/row-store.ts'
import { ShadowCounts } from '../leaderless/shadow.ts'
import { UserLatency } from '../leaderless/user-latency.ts'
import type { Partition } from '../partitioning/partition-map.ts'
import type { Clock } from '../ports/clock.ts'
import type { Disk } from '../ports/disk.ts'
import { pause } from '../ports/pause.ts'
import type { Random } from '../ports/random.ts'
import type { Table } from '../ports/table.ts'
import type { Transport } from '../ports/transport.ts'
import type { MakeRegisters } from '../register/registers.ts'
import { LogStore } from '../store/log-store.ts'
import type { StoreLimits } from '../store/store-limits.ts'
import { Collector, serveCollection } from '../sweep/collector.ts'
import { Fences } from '../sweep/fences.ts'
import { serveSweeps } from '../sweep/sweep-server.ts'
import { Sweeper } from '../sweep/sweeper.ts'
import { type ReplayedChange, replayedChange, Trees } from '../sweep/trees.ts'
import { FIRST_CALL_ID_MAX, Rpc } from '../wire/rpc.ts'
import { serveCatalog } from './catalog-handlers.ts'
import { CatalogKeeper } from './catalog-keeper.ts'
import { Coordination } from './coordination.ts'
import { LeaderParts } from './leader-parts.ts'
import { MovementParts } from './movement-parts.ts'
import { checkNodeConfig, type NodeConfig } from './node-config.ts'
import { orderedRequests } from './ordered-requests.ts'
import { ProofAges } from './proof-ages.ts'
import { Rebuild } from './rebuild.ts'
import { Scrubber } from './scrubber.ts'
import { SessionKey } from './session-key.ts'

/** Everything a node needs from outside. */
export interface World {
  readonly clock: Clock
  readonly random: Random
  /** Chance that nobody can guess, for keys; without it `random` (simulations). */
  readonly secrets?: Random | undefined
  readonly disk: Disk
  readonly table: Table
  readonly transport: Transport
  /** Registers held elsewhere (etcd); without them the nodes hold them themselves. */
  readonly registers?: MakeRegisters
  /** Of rules `merge:NAME` that are not built in: operators bring them. */
  readonly mergeFunctions?: ReadonlyMap<string, MergeFunction>
}

export interface NodeHooks {
  /** The node must not go on: the process ends (the simulator crashes the node). */
  readonly onFatal: (error: QuorateError) => void
  /** Something an operator should know. */
  readonly onTrouble?: (message: string) => void
  /** Something that happened and is no trouble: for whoever wants to follow what goes on. */
  readonly onNews?: (message: string) => void
  /** The cluster does not take this node, and asking again does not mend it. Default: told as trouble, and asked again. */
  readonly onRefused?: (error: QuorateError) => void
  readonly storeLimits?: Partial<StoreLimits>
  /** Bytes free on the disk of the store; 0: not known. */
  readonly freeBytes?: () => number
}

const TELL_TIME_MS = 1_000
const COUNT_PAUSE_MS = 1

export class Node {
  readonly config: NodeConfig
  readonly catalog: Catalog
  readonly context: NodeContext
  readonly coordination: Coordination
  readonly rebuild: Rebuild
  readonly sweeper: Sweeper
  readonly proofs: ProofAges
  readonly collector: Collector
  readonly scrubber: Scrubber
  readonly #movement: MovementParts
  readonly #consensus: ConsensusTables
  readonly leaders: LeaderParts
  readonly trees: Trees
  readonly admission: Admission
  readonly time: ClusterTime
  readonly store: LogStore
  readonly counters: Counters
  readonly shadow: ShadowCounts
  readonly #clock: Clock
  readonly #reservation: ClockReservation
  readonly #sessionKey: SessionKey
  readonly #replayer: HintReplayer
  readonly #healer: DamageHealer
  readonly #startedMs: number
  #stopped = false
  #hurrying = false
  #hotReads: HotReads | undefined

  /** Opens the store (recovering it) and starts serving. Rejects with STORE_DAMAGED and what to do. */
  static async open(world: World, config: NodeConfig, hooks: NodeHooks): Promise<Node> {
    checkNodeConfig(config)
    const replayed: ReplayedChange[] = []
    let trees: Trees | undefined
    const store = await LogStore.open({
      disk: world.disk,
      table: world.table,
      clock: world.clock,
      random: world.random,
      onFatal: hooks.onFatal,
      onReplay: (key, before, after) => {
        if (key.startsWith('r')) replayed.push(replayedChange(key, before, after))
      },
      checkpointExtras: () => trees?.takePages() ?? [],
      ...(hooks.storeLimits === undefined ? {} : { limits: hooks.storeLimits }),
    })
    const joins = config.join !== undefined || config.members.length > 1 || world.registers !== undefined
    if (!joins && CatalogKeeper.wasElsewhere(store)) {
      await store.close()
      throw new QuorateError(
        'BAD_REQUEST',
        `this store belongs to a node that joined a cluster: start "${config.id}" with --join and the address of a member`,
        { data: { field: 'join' } },
      )
    }
    trees = new Trees(store, config.id, config.tuning.treeSliceRows)
    return new Node(world, config, hooks, store, trees, replayed)
  }

  /** Use `Node.open`. */
  private constructor(
    world: World,
    config: NodeConfig,
    hooks: NodeHooks,
    store: LogStore,
    trees: Trees,
    replayed: readonly ReplayedChange[],
  ) {
    const { clock, random } = world
    this.config = config
    this.store = store
    this.trees = trees
    this.#clock = clock
    this.shadow = new ShadowCounts(clock)
    const { mergeFunctions = new Map<string, MergeFunction>() } = world
    this.catalog = new Catalog(new MergeModules(mergeFunctions, message => hooks.onTrouble?.(message)))
    this.counters = newCounters()
    this.#startedMs = clock.monotonicMs()
    this.time = new ClusterTime(clock, limits.clockDriftMaxMs / 2)
    const trusts = (): boolean => this.#trustsClock()
    this.#reservation = new ClockReservation(store, clock, () => this.time.now(), trusts)
    this.rebuild = new Rebuild(store, config.id, () => this.#latestStamp())
    const rpc = new Rpc(world.transport, clock, {
      self: config.id as string as PeerId,
      firstCallId: randomBelow(random, FIRST_CALL_ID_MAX),
      isMember: peer => this.#isMember(peer),
    })
    this.coordination = new Coordination({
      config,
      store,
      rpc,
      clock,
      random,
      catalog: this.catalog,
      rebuild: this.rebuild,
      registers: world.registers,
      onTrouble: hooks.onTrouble ?? (() => {}),
      onRefused: hooks.onRefused ?? (error => hooks.onTrouble?.(error.message)),
    })
    this.#sessionKey = this.#makeSessionKey(world)
    this.context = this.#makeContext(world, rpc)
    trees.follow(this.catalog, replayed)
    this.catalog.onChange(() => this.#followMaps())
    this.admission = this.#makeAdmission()
    this.leaders = this.#makeLeaders(hooks)
    this.#consensus = new ConsensusTables(this.context, this.admission)
    this.#serve()
    const { sweepIntervalMs, sweepRecheckMs, collectIntervalMs, scrubIntervalMs } = config.tuning
    this.sweeper = new Sweeper(this.context, trees, {
      intervalMs: sweepIntervalMs,
      recheckMs: sweepRecheckMs,
    })
    this.proofs = new ProofAges(clock, config.id, this.catalog, this.sweeper.provenEqual, sweepIntervalMs)
    this.collector = new Collector(this.context, collectIntervalMs, config.tuning.lateWriteMs)
    this.scrubber = new Scrubber(this.context, store, trees, scrubIntervalMs)
    this.#replayer = new HintReplayer(this.context)
    this.#healer = new DamageHealer(this.context, (table, partition, key) =>
      this.leaders.rowHealer.heal(table, partition, key),
    )
    this.#movement = new MovementParts({
      node: this.context,
      coordination: this.coordination,
      sweeper: this.sweeper,
      trees,
      tuning: config.tuning,
      freeBytes: () => hooks.freeBytes?.() ?? 0,
      leaders: this.leaders,
    })
    this.#start()
  }

  /** No clock of the cluster is further. */
  #latestStamp(): Stamp {
    return (this.#reservation.hybrid.peek() + stampSpan(limits.clockDriftMaxMs)) as Stamp
  }

  #makeSessionKey({ random, secrets }: World): SessionKey {
    return new SessionKey({
      store: this.store,
      secrets: secrets ?? random,
      operation: () => this.coordination.operation(),
      registers: () => (this.coordination.hasRegisters ? this.coordination.registers : undefined),
      clusterId: () => this.coordination.clusterId,
    })
  }

  #makeLeaders(hooks: NodeHooks): LeaderParts {
    return new LeaderParts({
      node: this.context,
      coordination: this.coordination,
      rebuild: this.rebuild,
      admission: this.admission,
      tuning: this.config.tuning,
      onTrouble: hooks.onTrouble ?? (() => {}),
      onNews: hooks.onNews ?? (() => {}),
    })
  }

  #makeContext({ clock, random }: World, rpc: Rpc): NodeContext {
    const { store, trees, catalog, counters } = this
    const { id: self } = this.config
    const { hybrid, floor } = this.#reservation
    const ledger = new Ledger(store, self)
    const recent = new RecentOperations()
    return {
      self,
      clock,
      random,
      store,
      hybrid,
      rpc,
      catalog,
      rows: new RowStore({ store, hybrid, ledger, trees, recent, shadow: this.shadow, memoryFrom: floor }),
      ledger,
      hints: new HintStore(store, catalog, ledger, counters),
      fences: new Fences(store),
      counters,
      latency: new UserLatency(clock),
      hot: new HotPartitions(),
      sealOfSessions: () => this.#sessionKey.seal(),
      isSuspected: (node: NodeId) =>
        this.coordination.membership.isSuspected(node) ||
        (this.catalog.members.members.length > 0 && this.catalog.member(node) === undefined),
      isReady: (view: TableView, partition: Partition) => this.rebuild.isReady(view, partition),
      catchUp: (table, chunk, from) => this.coordination.maps.look(table, chunk, from),
    }
  }

  #makeAdmission(): Admission {
    const culprit = new Culprit(this.context.hot, this.catalog, () => this.#clock.monotonicMs())
    return new Admission(
      this.store,
      this.counters,
      () => this.#loopLateMs(),
      () => culprit.words(),
    )
  }

  #serve(): void {
    const { hotReads } = new DataHandlers({
      node: this.context,
      admission: this.admission,
      hotReadCacheMs: this.config.tuning.hotReadCacheMs,
      onBehind: () => void this.coordination.refresh(),
      refuseUnready: () => this.#refuseUnready(),
      led: orderedRequests(this.leaders.tables, this.#consensus),
    })
    this.#hotReads = hotReads
    serveRowAcceptor(this.context, new PartitionDoors(this.context, () => void this.coordination.refresh()))
    serveCatalog(this.context, this.coordination)
    serveSweeps(this.context, this.trees)
    serveCollection(this.context, this.config.tuning.lateWriteMs)
  }

  #start(): void {
    this.sweeper.onPulled = (view, partition, peer) => {
      this.rebuild.pulled(view, partition, peer)
      this.rebuild.finishWhenReady(this.catalog)
    }
    this.coordination.gossipListeners.push((node, key, value) => {
      if (key === 'time' && typeof value === 'number') this.time.heard(node, value)
    })
    this.sweeper.start()
    this.collector.start()
    this.#consensus.settler.start()
    this.scrubber.start()
    this.#replayer.start()
    this.#healer.start()
    this.#movement.start()
    this.leaders.start()
    void this.#tellTime()
    if (this.rebuild.pending) void this.#hurryRebuild()
    this.catalog.onChange(() => {
      if (this.rebuild.pending) void this.#hurryRebuild()
    })
  }

  async #tellTime(): Promise<void> {
    while (!this.#stopped) {
      this.coordination.membership.set('time', Math.round(this.#clock.wallMs()))
      this.coordination.membership.set('hints', this.context.hints.count)
      this.#sessionKey.follow()
      await pause(this.#clock, TELL_TIME_MS)
    }
  }

  /** While a rebuild is pending the sweeps do not wait for their turn. */
  async #hurryRebuild(): Promise<void> {
    if (this.#hurrying) return
    this.#hurrying = true
    while (!this.#stopped && this.rebuild.pending) {
      for (const { id } of this.catalog.members.members) {
        if (id !== this.config.id && !this.context.isSuspected(id) && !this.#stopped)
          await this.sweeper.exchangeAll(id)
      }
      this.rebuild.finishWhenReady(this.catalog)
      if (this.rebuild.pending) await pause(this.#clock, 500)
    }
    this.#hurrying = false
  }

  #followMaps(): void {
    const wasCounting = this.trees.isCounting
    this.trees.follow(this.catalog)
    if (!wasCounting && this.trees.isCounting) void this.#countTrees()
  }

  /** Slice by slice, so that requests go on between them. */
  async #countTrees(): Promise<void> {
    while (!this.#stopped && this.trees.isCounting) {
      await pause(this.#clock, COUNT_PAUSE_MS)
      if (!this.#stopped) this.trees.countOn()
    }
  }

  #isMember(peer: PeerId): boolean {
    const id = peer as string as NodeId
    // The configuration names who is to form a cluster; once there is one, its members are who it says.
    if (this.catalog.members.members.length > 0) return this.catalog.member(id) !== undefined
    return this.config.members.some(member => member.id === id)
  }

  #loopLateMs(): number {
    return (this.coordination.membership.suspicionMultiplier() - 1) * 100
  }

  get hotReads(): HotReads {
    return this.#hotReads!
  }

  get control(): MovementParts['control'] {
    return this.#movement.control
  }

  get mover(): MovementParts['mover'] {
    return this.#movement.mover
  }

  get receiver(): MovementParts['receiver'] {
    return this.#movement.receiver
  }

  get splitter(): MovementParts['splitter'] {
    return this.#movement.splitter
  }

  get throttle(): MovementParts['throttle'] {
    return this.#movement.throttle
  }

  get uptimeMs(): number {
    return this.#clock.monotonicMs() - this.#startedMs
  }

  /** Has this node heard a peer? Until then a wrong clock of its own would go unnoticed. */
  #trustsClock(): boolean {
    const alone = this.config.members.length === 1 && this.catalog.members.members.length <= 1
    return alone || this.time.heardPeers > 0
  }

  #refuseUnready(): void {
    if (this.catalog.members.members.length === 0) {
      throw new QuorateError('NOT_READY', 'the cluster has not formed yet: not all initial members have met')
    }
    if (this.catalog.member(this.config.id) === undefined) {
      throw new QuorateError(
        'NOT_READY',
        `${this.config.id} is no member of the cluster any more; to come back it must be started with an empty data directory and --join`,
      )
    }
    if (!this.#trustsClock()) {
      throw new QuorateError(
        'NOT_READY',
        'this node has just started and has heard no peer yet: it does not trust its own clock alone',
      )
    }
  }

  async stop(): Promise<void> {
    this.halt()
    await this.store.close()
  }

  /** Stops every task at once, as a crash would, without touching the store again. */
  halt(): void {
    this.#stopped = true
    this.coordination.stop()
    this.sweeper.stop()
    this.collector.stop()
    this.#consensus.settler.stop()
    this.scrubber.stop()
    this.#replayer.stop()
    this.#healer.stop()
    this.#movement.stop()
    this.leaders.stop()
    this.#reservation.stop()
    this.context.rpc.close()
  }
}
