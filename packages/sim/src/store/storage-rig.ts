/** One node's storage on simulated hardware: what the store's tests and the lab stand on. */

import {
  type ByteString,
  DAMAGED,
  LogStore,
  type LogStoreOptions,
  type QuorateError,
  SeededRandom,
  type StoreLimits,
  utf8,
} from '@quorate/core'
import { ManualClock } from '@quorate/core/conformance'
import { SimDisk } from '../world/sim-disk.ts'
import { SimTable } from '../world/sim-table.ts'
import type { StorageFault } from '../world/storage-faults.ts'

/** Small enough that a few dozen commits rotate, freeze and drain. */
export const smallLimits: Partial<StoreLimits> = {
  memtableBytesMax: 2_500,
  segmentBytesMax: 2_000,
  checkpointBatchBytes: 120,
}

export class StorageRig {
  readonly clock = new ManualClock()
  readonly random: SeededRandom
  readonly disk: SimDisk
  readonly table: SimTable
  readonly fatal: QuorateError[] = []
  readonly faults = new Map<StorageFault, number>()
  /** Operations begun or ended so far. */
  operations = 0
  /** Cuts the power when `operations` reaches it. */
  cutAt = Number.POSITIVE_INFINITY
  dead = false

  constructor(seed: number) {
    this.random = new SeededRandom(seed)
    const world = {
      clock: this.clock,
      random: this.random,
      onOperation: () => {
        if (++this.operations === this.cutAt) this.powerCut()
      },
      onFault: (fault: StorageFault) => this.faults.set(fault, (this.faults.get(fault) ?? 0) + 1),
    }
    this.disk = new SimDisk(world)
    this.table = new SimTable(world)
  }

  powerCut(): void {
    this.disk.powerCut()
    this.table.powerCut()
    this.dead = true
  }

  processKill(): void {
    this.disk.processKill()
    this.dead = true
  }

  /** Starts opening; never settles when the power is cut meanwhile. */
  begin(options: Partial<LogStoreOptions> = {}): Promise<LogStore> {
    this.dead = false
    const { clock, random } = this
    const world = { disk: this.disk.mount(), table: this.table.mount(), clock, random }
    const onFatal = (error: QuorateError): void => {
      this.fatal.push(error)
    }
    return LogStore.open({ ...world, limits: smallLimits, onFatal, ...options })
  }

  open(options: Partial<LogStoreOptions> = {}): Promise<LogStore> {
    return this.clock.drive(this.begin(options))
  }

  /** Runs the clock until `store` has made everything durable and has no checkpoint under way. */
  async settle(): Promise<void> {
    await this.clock.runUntil(() => false, 2_000)
  }
}

export const row = (name: string): ByteString => `r${name}` as ByteString
export const bytes = (text: string): Uint8Array => utf8.encode(text)

/** Everything in the store as text, in order. */
export function contents(store: LogStore, from = '' as ByteString, to?: ByteString): [string, string][] {
  return [...store.scan(from, to)].map(([key, value]) => [key, value === DAMAGED ? '?' : utf8.decode(value)])
}
