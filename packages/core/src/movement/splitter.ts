/**
 * Partitions of range tables split where they grow and merge where they do not, by themselves (`auto`).
 *
 * Problem: ranges of keys fill unevenly, and nobody should have to watch them. Mechanism: the first home of a
 * partition looks at it every few seconds: its size (its own tree) and its load (what all homes coordinated), and asks
 * `splitDecision` and `mergeDecision`. A split or merge is one compare-and-set on one piece of the map, from exactly
 * the entry that was looked at. No row moves and no home changes, so nothing has to be waited for: requests carry the
 * version of their partition, and whoever has the old one is told.
 *
 * Invariants:
 * - a partition that moves is left alone, and so is everything while a plan is being committed;
 * - boundaries lie between partition keys (range-measure.ts);
 * - nothing rests on who seems alive: when the first home is down, its partitions stay as they are;
 * - no thrashing: what was cut is not merged, and what was merged not cut, for `QUIET_LOOKS` looks (on the default
 *   interval five minutes); every node sees the map change, so a new first home knows it too. After a cut, load is
 *   not looked at for `LOAD_LOOKS` looks: what was counted before was of the whole. Between what merges and what
 *   splits is a factor of four (range-splits.ts);
 * - boundaries that the table was made with stay: whoever cut an empty table knew what for.
 * What should be split and cannot be is kept with the reason, for `quorate hot`. Load of ever-growing keys is such a
 * case: every split leaves all of it on the last part. (Its bytes are split all the same.)
 */

import { isQuorateError } from '../base/errors.ts'
import type { ByteString, NodeId, TableId } from '../base/ids.ts'
import { describeKey } from '../base/key-encoding.ts'
import { limits } from '../base/limits.ts'
import type { TableView } from '../catalog/catalog.ts'
import { encodeChunk } from '../catalog/cluster-state.ts'
import {
  encodedSplitPoints,
  type Partitioning,
  type RangePartitioning,
} from '../catalog/partitioning-settings.ts'
import type { PartitionReport } from '../hotkeys/hot-report.ts'
import type { NodeContext } from '../leaderless/node-context.ts'
import { mergeChunk, splitChunk } from '../partitioning/map-chunks.ts'
import type { MapChunk, Partition } from '../partitioning/partition-map.ts'
import {
  mergeDecision,
  type RangeLimits,
  type RangeStats,
  type SplitDecision,
  splitDecision,
} from '../partitioning/range-splits.ts'
import { keyStart, rowKeyParts, tablePrefix } from '../partitioning/row-key.ts'
import { pause } from '../ports/pause.ts'
import type { Trees } from '../sweep/trees.ts'
import { BoundsHistory } from './bounds-history.ts'
import { keyEnds, medianStart, type RangeLoad, RangeSizes, rangeLoad } from './range-measure.ts'

/** Looks without a merge after a split, and the other way round. */
const QUIET_LOOKS = 60
/** Looks after a cut before load counts: two half-lives of the counts, on the default interval. */
const LOAD_LOOKS = 12
const SAMPLES_MIN = 100
/** Changes of one table in one look, and the time between them for counting what was cut. */
const CHANGES_MAX = 16
const COUNT_MS = 50
/** The start of a partition is its key behind the space and the table. */
const START_AT = 5
/** Words of one refusal, and refusals kept. */
const WHY_CHARS = 1_000
const REFUSALS_MAX = 1_000

export interface SplitterOptions {
  readonly node: NodeContext
  readonly trees: Trees
  readonly intervalMs: number
  /** Changes a piece of a map by compare-and-set; false when nothing was changed. */
  readonly change: (
    table: TableId,
    index: number,
    change: (chunk: MapChunk) => MapChunk | undefined,
  ) => Promise<boolean>
  /** What these nodes coordinate of the table, without partitions that have less than so many requests. */
  readonly ask: (
    table: TableId,
    nodes: readonly NodeId[],
    leastPerSecond: number,
  ) => Promise<readonly (readonly PartitionReport[])[]>
  /** Is a plan being committed now? A map that changes under it would make it stale. */
  readonly isCommitting: () => boolean
}

export interface SplitterRefusal {
  readonly table: number
  readonly partition: number
  readonly why: string
}

interface Look {
  readonly view: TableView
  readonly settings: RangePartitioning
  readonly rangeLimits: RangeLimits
  readonly reports: readonly (readonly PartitionReport[])[]
}

export class Splitter {
  readonly #options: SplitterOptions
  readonly #node: NodeContext
  readonly #sizes: RangeSizes
  readonly #history: BoundsHistory
  readonly #refusals = new Map<string, SplitterRefusal>()
  #stopped = false
  /** Done by this node since it started. */
  splits = 0
  merges = 0

  constructor(options: SplitterOptions) {
    this.#options = options
    this.#node = options.node
    this.#sizes = new RangeSizes(options.node, options.trees)
    this.#history = new BoundsHistory(options.node.clock)
    this.#see()
    options.node.catalog.onChange(() => this.#see())
  }

  /** At once, before requests are counted for what is new. */
  #see(): void {
    const { catalog, hot } = this.#node
    for (const { descriptor, map } of catalog.views()) {
      if (!isAuto(descriptor.partitioning)) continue
      for (const [left, right] of this.#history.see(descriptor.id, map.partitions))
        hot.cut(descriptor.id, left, right)
    }
  }

  start(): void {
    void this.#loop()
  }

  stop(): void {
    this.#stopped = true
  }

  /** Partitions led here that should be split and cannot be. */
  refusals(): readonly SplitterRefusal[] {
    return [...this.#refusals.values()]
  }

  async #loop(): Promise<void> {
    while (!this.#stopped) {
      await pause(this.#node.clock, this.#options.intervalMs)
      if (this.#stopped) return
      for (const view of this.#node.catalog.views()) {
        const { partitioning } = view.descriptor
        if (!isAuto(partitioning) || this.#options.isCommitting()) continue
        try {
          await this.#lookUntilStill(view.descriptor.id, partitioning)
        } catch (error) {
          // Registers that cannot be reached now: looked at again.
          if (!isQuorateError(error)) throw error
        }
      }
    }
  }

  #leads(view: TableView, partition: Partition): boolean {
    return (
      partition.replicas[0] === this.#node.self &&
      partition.move === undefined &&
      this.#node.isReady(view, partition) &&
      this.#options.trees.isCounted(view.descriptor.id, partition.id)
    )
  }

  /** What has grown by more than one split between two looks is split again when its trees are counted. */
  async #lookUntilStill(table: TableId, settings: RangePartitioning): Promise<void> {
    for (let changes = 0; changes < CHANGES_MAX; changes++) {
      const view = this.#node.catalog.view(table)
      if (!(await this.#look(view, settings)) || this.#stopped) return
      await pause(this.#node.clock, COUNT_MS)
    }
  }

  /** True when something was changed: the view is of before. */
  async #look(view: TableView, settings: RangePartitioning): Promise<boolean> {
    const table = view.descriptor.id
    const led = view.map.partitions.filter(partition => this.#leads(view, partition))
    const ids = new Set(led.map(({ id }) => id))
    this.#forgetRefusals(table, ids)
    if (led.length === 0) return false
    const homes = [...new Set(led.flatMap(partition => partition.replicas))]
    const { splitBytes, splitOperationsPerSecond } = settings
    // What is left out on all homes together is less than an eighth, and merging begins at a quarter.
    const leastPerSecond = splitOperationsPerSecond / (8 * view.descriptor.replication.n)
    const reports = await this.#options.ask(table, homes, leastPerSecond)
    const rangeLimits = { splitBytes, splitOperationsPerSecond, samplesMin: SAMPLES_MIN }
    const look: Look = { view, settings, rangeLimits, reports }
    // Sizes are read from trees, which follow the map of now.
    const isStill = (): boolean => this.#node.catalog.find(table)?.map === view.map
    for (const partition of led) {
      if (!isStill() || this.#stopped) return false
      if (await this.#splitOrNot(look, partition)) return true
    }
    for (const partition of led) {
      if (!isStill() || this.#stopped) return false
      if (await this.#mergeOrNot(look, partition)) return true
    }
    const neighbours = view.map.partitions.filter((_, at) => ids.has(view.map.partitions[at - 1]?.id ?? -1))
    this.#sizes.keepOnly(table, new Set([...ids, ...neighbours.map(({ id }) => id)]))
    return false
  }

  #forgetRefusals(table: TableId, led: ReadonlySet<number>): void {
    for (const [name, refusal] of this.#refusals)
      if (refusal.table === table && !led.has(refusal.partition)) this.#refusals.delete(name)
  }

  #isQuiet(table: TableId, { id }: Partition, looks: number, since: 'cut' | 'joined'): boolean {
    return this.#history.isLately(table, id, since, looks * this.#options.intervalMs)
  }

  // ── splits ──

  async #splitOrNot(look: Look, partition: Partition): Promise<boolean> {
    const table = look.view.descriptor.id
    const name = `${table}/${partition.id}`
    if (this.#isQuiet(table, partition, QUIET_LOOKS, 'joined')) return false
    const decision = await this.#decide(look, partition)
    if (decision.kind === 'refused' && (this.#refusals.has(name) || this.#refusals.size < REFUSALS_MAX)) {
      const why = decision.why.slice(0, WHY_CHARS)
      this.#refusals.set(name, { table, partition: partition.id, why })
    } else this.#refusals.delete(name)
    if (decision.kind !== 'split') return false
    const start = decision.at.slice(START_AT) as ByteString
    const chunks = look.view.map.chunks.length
    const isCut = await this.#options.change(table, partition.chunk, chunk => {
      if (!isSame(chunk, partition) || isFull(chunk)) return undefined
      return splitChunk(chunk, [start], chunks)
    })
    if (isCut) this.splits++
    return isCut
  }

  async #decide({ view, rangeLimits, reports }: Look, partition: Partition): Promise<SplitDecision> {
    const table = view.descriptor.id
    const { rows, bytes } = this.#sizes.of(table, partition)
    const isFresh = this.#isQuiet(table, partition, LOAD_LOOKS, 'cut')
    const load = isFresh ? undefined : rangeLoad(partition, reports, table)
    const operationsPerSecond = load?.operationsPerSecond ?? 0
    const isLarge = bytes > rangeLimits.splitBytes
    const isBusy = operationsPerSecond > rangeLimits.splitOperationsPerSecond
    if (!isLarge && !isBusy) return { kind: 'none' }
    const chunk = view.map.chunks[partition.chunk]!
    if (isFull(chunk)) return fullRefusal(chunk)
    const ends = keyEnds(this.#node, partition)
    const medianKey = isLarge ? await medianStart(this.#node, partition, rows) : undefined
    const isOneKey = ends !== undefined && ends.first === ends.last
    if (isOneKey && rows > 1) return oneKeyRefusal(ends.first, bytes, operationsPerSecond, isLarge)
    const stats: RangeStats = {
      bytes,
      rows,
      operationsPerSecond: load === undefined || isEverGrowing(load) ? 0 : operationsPerSecond,
      sampledKeys: load?.samples ?? [],
      ...(ends === undefined ? {} : { firstKey: ends.first, lastKey: ends.last }),
      ...(medianKey === undefined ? {} : { medianKey }),
    }
    const decision = splitDecision(stats, rangeLimits)
    if (load === undefined || decision.kind === 'split') return decision
    if (decision.kind === 'none') return isEverGrowing(load) ? growthRefusal(load) : decision
    return { kind: 'refused', why: `${decision.why}${hottestInWords(load)}` }
  }

  // ── merges ──

  async #mergeOrNot({ view, settings, rangeLimits, reports }: Look, left: Partition): Promise<boolean> {
    const table = view.descriptor.id
    const { partitions } = view.map
    const right = partitions[partitions.indexOf(left) + 1]
    if (right === undefined || right.move !== undefined || right.chunk !== left.chunk) return false
    if (isGiven(settings, table, right.from)) return false
    for (const side of [left, right]) {
      if (this.#isQuiet(table, side, QUIET_LOOKS, 'cut')) return false
      if (!this.#node.isReady(view, side) || !this.#options.trees.isCounted(table, side.id)) return false
    }
    const sideOf = (partition: Partition) => ({
      bytes: this.#sizes.of(table, partition).bytes,
      operationsPerSecond: rangeLoad(partition, reports, table).operationsPerSecond,
      replicas: partition.replicas,
    })
    if (mergeDecision(sideOf(left), sideOf(right), rangeLimits).kind !== 'merge') return false
    const isJoined = await this.#options.change(table, left.chunk, chunk =>
      isSame(chunk, left) && isSame(chunk, right) ? mergeChunk(chunk, right.id) : undefined,
    )
    if (isJoined) this.merges++
    return isJoined
  }
}

const isAuto = (partitioning: Partitioning): partitioning is RangePartitioning =>
  partitioning.kind === 'range' && partitioning.auto

/** Is the partition in the registers still the one that was looked at? */
function isSame(chunk: MapChunk, { id, version }: Partition): boolean {
  const entry = chunk.partitions.find(each => each.id === id)
  return entry !== undefined && entry.version === version && entry.move === undefined
}

/** One compare-and-set sends and stores the whole piece. */
const isFull = (chunk: MapChunk): boolean =>
  chunk.partitions.length >= limits.splitPartitionsMax ||
  (chunk.partitions.length > limits.splitPartitionsMax / 8 &&
    encodeChunk(chunk).length > limits.registerBytesMax / 2)

const fullRefusal = ({ partitions }: MapChunk): SplitDecision => ({
  kind: 'refused',
  why: `this piece of the map has ${partitions.length} partitions, as many as one change of it should send: a larger splitBytes, or a new table with split points of its own, makes room`,
})

function oneKeyRefusal(first: ByteString, bytes: number, perSecond: number, isLarge: boolean): SplitDecision {
  const key = describeKey(rowKeyParts(first).partitionKey)
  const much = isLarge ? `${bytes} bytes` : `${perSecond} operations a second`
  const why = `${much} are too many, but all rows here have one partition key, ${key}, and stay together: only a finer partition key spreads them`
  return { kind: 'refused', why }
}

/** More than half of the load is writes beyond all keys that are there. */
const isEverGrowing = ({ operationsPerSecond, growingPerSecond }: RangeLoad): boolean =>
  growingPerSecond * 2 > operationsPerSecond

const growthRefusal = ({ operationsPerSecond }: RangeLoad): SplitDecision => ({
  kind: 'refused',
  why: `${operationsPerSecond} operations a second are too many, but most are writes of ever-growing keys: wherever it is split, the last part gets them all`,
})

function hottestInWords({ samples }: RangeLoad): string {
  const counts = new Map<ByteString, number>()
  for (const { key, count } of samples) counts.set(key, (counts.get(key) ?? 0) + count)
  const total = samples.reduce((sum, { count }) => sum + count, 0)
  for (const [key, count] of counts)
    if (count * 2 > total) return ` (the key is ${describeKey(rowKeyParts(key).partitionKey)})`
  return ''
}

/** A boundary that the table was made with. */
function isGiven({ splitPoints }: RangePartitioning, table: TableId, from: ByteString): boolean {
  const prefix = tablePrefix(table)
  return encodedSplitPoints(splitPoints).some(point => `${prefix}${keyStart(point)}` === from)
}
