/**
 * Which partitions of this node are busy, with what keys, and in what way.
 *
 * Problem: one hot key or one hot partition slows a node, and totals do not show it. Mechanism: per
 * partition, reads and writes apart: a decaying sum, and from `SKETCH_FROM` recent requests on a Space-Saving
 * sketch of the keys; of written keys that are new, a sample in arrival order (arrival-sample.ts).
 *
 * Who counts: only the replica that coordinates a request notes it, once. Replicas that merge a coordinator's
 * cell, hints, repairs and sweeps note nothing. So no request is counted twice, though every write reaches N
 * nodes, and the reports of all nodes add up (`mergeReports`). One node alone sees only its part.
 *
 * Memory is bounded three ways: partitions without recent requests are forgotten; of more than `partitionsMax`
 * the quieter ones go; sketches past `bytesMax` are dropped, the quieter partitions' first, and only a
 * partition clearly busier than those gets one again. What is dropped
 * takes its counts with it: rates come out lower, never higher. Requests from before a sketch began are kept
 * as a sum and widen the bounds of its keys until they have decayed.
 *
 * Cost of a note in steady state, on one shared core: 30 ns for one key, 0.2 µs with 16 busy partitions, 0.5 µs
 * with 1,000 under skewed keys; 1 µs with 1,000 under uniform keys, which is the memory's time, not the
 * algorithm's. Nothing is sampled, so the bounds of keys are bounds.
 *
 * Rates: a steady rate r adds up to r × halfLife / ln 2. A partition known for less than a few half-lives has
 * not added up to that yet; its sum is divided by the part that it can have reached (1 − 2^(−age/halfLife)).
 */

import { assert } from '../base/assert.ts'
import { ArrivalSample } from './arrival-sample.ts'
import { DecayingSum, decayStep, ratePerSecond, reachedShare } from './decay.ts'
import { busiestFirst, type PartitionReport, partitionReport, scaledSummary } from './hot-report.ts'
import { type KeySummary, SpaceSaving } from './space-saving.ts'

export interface HotPartitionsOptions {
  /** After this long a request counts half. */
  readonly halfLifeMs?: number
  readonly keysPerPartition?: number
  readonly partitionsMax?: number
  /** Of all sketches and samples, roughly. */
  readonly bytesMax?: number
}

export interface HotCounters {
  readonly partitions: number
  readonly bytes: number
  /** Partitions forgotten, and sketches dropped, for want of room. */
  readonly partitionsDropped: number
  readonly sketchesDropped: number
}

const HALF_LIFE_MS = 30_000
/** A key with more than a sixteenth of the requests is always found. Twice as many keys cost half as much again per note. */
const KEYS_PER_PARTITION = 16
const PARTITIONS_MAX = 4_096
const BYTES_MAX = 16 * 1024 * 1024
/** Recent requests from which a partition's keys are worth a sketch. */
const SKETCH_FROM = 16
/** A partition gets a sketch back when it is busier by this than the busiest that lost one. */
const BAR_RISE = 1.5
/** A report describes so many partitions unless asked for more: each takes a tenth of a millisecond. */
const PARTITIONS_SHOWN = 100
/** A sum below this is no recent request any more. */
const IDLE = 0.05
/** For this long a partition's rate is that of one which has been known for this long. */
const AGE_MIN_MS = 1_000
/** Partition numbers are below this, so that table and partition fit in one safe integer. */
const PARTITIONS = 0x1_0000_0000

/** More of all that a node coordinates, and one key is why it is full. */
const DOMINANT_SHARE = 0.5

export interface HotReportOptions {
  readonly partitionsShown?: number
  readonly table?: number
  /** Partitions with fewer requests are left out. */
  readonly leastPerSecond?: number
}

export interface DominantKey {
  readonly table: number
  readonly key: string
  /** Of all requests this node coordinates, at least. */
  readonly share: number
}

/** Reads, or writes, of one partition. */
interface Side {
  readonly sum: DecayingSum
  sketch: SpaceSaving | undefined
}

interface Traffic {
  readonly table: number
  readonly partition: number
  readonly sinceMs: number
  readonly reads: Side
  readonly writes: Side
  sample: ArrivalSample | undefined
  /** Of its sketches and sample, as last counted. */
  bytes: number
}

export class HotPartitions {
  readonly #halfLifeMs: number
  readonly #keysPerPartition: number
  readonly #partitionsMax: number
  readonly #bytesMax: number
  readonly #traffic = new Map<number, Traffic>()
  #last: Traffic | undefined
  /** Recent requests from which there is room for a sketch; decays as the requests do. */
  #bar = new DecayingSum()
  #bytes = 0
  #partitionsDropped = 0
  #sketchesDropped = 0

  constructor(options: HotPartitionsOptions = {}) {
    this.#halfLifeMs = options.halfLifeMs ?? HALF_LIFE_MS
    this.#keysPerPartition = options.keysPerPartition ?? KEYS_PER_PARTITION
    this.#partitionsMax = options.partitionsMax ?? PARTITIONS_MAX
    this.#bytesMax = options.bytesMax ?? BYTES_MAX
    assert(this.#partitionsMax > 0, 'some partition must have room', this.#partitionsMax)
  }

  get counters(): HotCounters {
    const [partitions, bytes] = [this.#traffic.size, this.#bytes]
    const [partitionsDropped, sketchesDropped] = [this.#partitionsDropped, this.#sketchesDropped]
    return { partitions, bytes, partitionsDropped, sketchesDropped }
  }

  /** This node coordinates a read of `key`. `nowMs`: monotonic. */
  noteRead(table: number, partition: number, key: string, nowMs: number): void {
    const traffic = this.#find(table, partition, nowMs)
    this.#note(traffic, traffic.reads, key, nowMs)
  }

  /** This node coordinates a write of `key`. */
  noteWrite(table: number, partition: number, key: string, nowMs: number): void {
    const traffic = this.#find(table, partition, nowMs)
    const known = this.#note(traffic, traffic.writes, key, nowMs)
    if (known !== false) return
    traffic.sample ??= new ArrivalSample(this.#halfLifeMs / 64)
    traffic.sample.note(key, nowMs)
  }

  /** Busiest partition first. Forgets those that have become idle. */
  report(nowMs: number, wanted: HotReportOptions = {}): PartitionReport[] {
    const { partitionsShown = PARTITIONS_SHOWN, table, leastPerSecond = 0 } = wanted
    this.#forgetIdle(nowMs)
    const step = decayStep(nowMs, this.#halfLifeMs)
    const isWanted = (traffic: Traffic): boolean =>
      (table === undefined || traffic.table === table) &&
      weight(traffic, step) * this.#perSecond(traffic, nowMs) >= leastPerSecond
    const busy = [...this.#traffic.values()]
      .filter(isWanted)
      .sort((a, b) => weight(b, step) - weight(a, step))
    return busy
      .slice(0, partitionsShown)
      .map(traffic => this.#describe(traffic, nowMs))
      .sort(busiestFirst)
  }

  /**
   * A partition of an ordered table was cut, and `right` is its new upper part. If its keys grow, all that comes goes
   * there, and what is known goes with it: otherwise a range that is cut more often than a sample fills would never be
   * known for what it is. Else what was counted stays with the lower part, and fades.
   */
  cut(table: number, left: number, right: number): void {
    const [from, to] = [table * PARTITIONS + left, table * PARTITIONS + right]
    const traffic = this.#traffic.get(from)
    if (traffic?.sample?.seemsGrowing !== true || this.#traffic.has(to)) return
    this.#traffic.delete(from)
    this.#traffic.set(to, { ...traffic, partition: right })
    if (this.#last === traffic) this.#last = undefined
  }

  #find(table: number, partition: number, nowMs: number): Traffic {
    const last = this.#last
    if (last !== undefined && last.partition === partition && last.table === table) return last
    const id = table * PARTITIONS + partition
    const found = this.#traffic.get(id) ?? this.#begin(id, table, partition, nowMs)
    this.#last = found
    return found
  }

  #begin(id: number, table: number, partition: number, nowMs: number): Traffic {
    assert(partition >= 0 && partition < PARTITIONS && Number.isSafeInteger(id), 'a partition of a table', id)
    if (this.#traffic.size >= this.#partitionsMax) this.#makeRoom(nowMs)
    const side = (): Side => ({ sum: new DecayingSum(), sketch: undefined })
    const traffic: Traffic = {
      table,
      partition,
      sinceMs: nowMs,
      reads: side(),
      writes: side(),
      sample: undefined,
      bytes: 0,
    }
    this.#traffic.set(id, traffic)
    return traffic
  }

  /** Whether the key was known; undefined: keys are not counted yet. */
  #note(traffic: Traffic, side: Side, key: string, nowMs: number): boolean | undefined {
    const step = decayStep(nowMs, this.#halfLifeMs)
    side.sum.add(1, step)
    if (side.sketch === undefined) {
      if (side.sum.at(step) < Math.max(SKETCH_FROM, this.#bar.at(step))) return undefined
      const [capacity, halfLifeMs] = [this.#keysPerPartition, this.#halfLifeMs]
      side.sketch = new SpaceSaving({ capacity, halfLifeMs })
    }
    const known = side.sketch.note(key, nowMs)
    if (!known) this.#account(traffic, nowMs)
    return known
  }

  #account(traffic: Traffic, nowMs: number): void {
    const { reads, writes, sample } = traffic
    const bytes = (reads.sketch?.bytes ?? 0) + (writes.sketch?.bytes ?? 0) + (sample?.bytes ?? 0)
    this.#bytes += bytes - traffic.bytes
    traffic.bytes = bytes
    if (this.#bytes > this.#bytesMax) this.#dropSketches(nowMs)
  }

  /** Down to half, so that it is not the next new key's turn again; and the dropped do not come back at once. */
  #dropSketches(nowMs: number): void {
    const step = decayStep(nowMs, this.#halfLifeMs)
    let dropped = 0
    for (const [, traffic] of this.#quietestFirst(nowMs)) {
      if (this.#bytes <= this.#bytesMax / 2) break
      if (traffic.bytes === 0) continue
      dropped = weight(traffic, step)
      this.#dropSketch(traffic)
      this.#sketchesDropped++
    }
    this.#bar = new DecayingSum()
    this.#bar.add(dropped * BAR_RISE, step)
  }

  #dropSketch(traffic: Traffic): void {
    traffic.reads.sketch = undefined
    traffic.writes.sketch = undefined
    traffic.sample = undefined
    this.#bytes -= traffic.bytes
    traffic.bytes = 0
  }

  /** Down to half of the partitions; the sort is shared by the many that come before the next one. */
  #makeRoom(nowMs: number): void {
    this.#forgetIdle(nowMs)
    const surplus = this.#traffic.size - Math.floor(this.#partitionsMax / 2)
    if (surplus <= 0) return
    for (const [id] of this.#quietestFirst(nowMs).slice(0, surplus)) {
      this.#forget(id)
      this.#partitionsDropped++
    }
  }

  #quietestFirst(nowMs: number): [number, Traffic][] {
    const step = decayStep(nowMs, this.#halfLifeMs)
    const weighed = [...this.#traffic].map(entry => ({ entry, weight: weight(entry[1], step) }))
    return weighed.sort((a, b) => a.weight - b.weight || a.entry[0] - b.entry[0]).map(({ entry }) => entry)
  }

  #forgetIdle(nowMs: number): void {
    const step = decayStep(nowMs, this.#halfLifeMs)
    for (const [id, traffic] of this.#traffic) if (weight(traffic, step) < IDLE) this.#forget(id)
  }

  #forget(id: number): void {
    const traffic = this.#traffic.get(id)
    if (traffic === undefined) return
    this.#bytes -= traffic.bytes
    this.#traffic.delete(id)
    if (this.#last === traffic) this.#last = undefined
  }

  /** The key that surely makes more than half of what this node coordinates, if there is one. */
  dominant(nowMs: number): DominantKey | undefined {
    const step = decayStep(nowMs, this.#halfLifeMs)
    let total = 0
    let busiest: Traffic | undefined
    for (const traffic of this.#traffic.values()) {
      total += weight(traffic, step)
      if (busiest === undefined || weight(traffic, step) > weight(busiest, step)) busiest = traffic
    }
    if (busiest === undefined) return undefined
    const { keys, readsPerSecond, writesPerSecond } = this.#describe(busiest, nowMs)
    const ofAll = weight(busiest, step) / total
    const surest = keys.reduce<DominantKey | undefined>((most, { key, share, error }) => {
      const sure = (share - error) * ofAll
      return sure > (most?.share ?? DOMINANT_SHARE) ? { table: busiest.table, key, share: sure } : most
    }, undefined)
    return readsPerSecond + writesPerSecond > 0 ? surest : undefined
  }

  /** What a decaying sum of this partition is as a rate. */
  #perSecond({ sinceMs }: Traffic, nowMs: number): number {
    const ageMs = Math.max(nowMs - sinceMs, AGE_MIN_MS)
    return ratePerSecond(1, this.#halfLifeMs) / reachedShare(ageMs, this.#halfLifeMs)
  }

  #describe(traffic: Traffic, nowMs: number): PartitionReport {
    const { table, partition, reads, writes, sample } = traffic
    const perSecond = this.#perSecond(traffic, nowMs)
    const summaryOf = (side: Side): KeySummary => {
      const sum = side.sum.at(decayStep(nowMs, this.#halfLifeMs))
      const known = side.sketch?.summary(nowMs)
      return scaledSummary(known, perSecond, Math.max(0, sum - (known?.total ?? 0)))
    }
    const evidence = { reads: summaryOf(reads), writes: summaryOf(writes), growingPerSecond: 0 }
    const growingPerSecond = sample?.isGrowing === true ? evidence.writes.total : 0
    return partitionReport(table, partition, { ...evidence, growingPerSecond })
  }
}

const weight = ({ reads, writes }: Traffic, step: number): number => reads.sum.at(step) + writes.sum.at(step)
