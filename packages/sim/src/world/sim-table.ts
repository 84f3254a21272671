/**
 * An ordered table with the `Table` contract and a power switch.
 *
 * A batch takes effect when its write resolves. A power cut decides, in order, whether batches not yet
 * answered are wholly there or not; it never leaves half of one. Other faults: a full table, a failed
 * write, a flipped bit in a stored value.
 */

import {
  assert,
  type ByteString,
  compareStrings,
  DiskError,
  randomBelow,
  randomChance,
  SortedTree,
  type Table,
  type TableWrite,
} from '@quorate/core'
import { never, operationTime, type StorageWorld } from './storage-faults.ts'

export class SimTable {
  readonly #world: StorageWorld
  readonly #tree = new SortedTree<ByteString, Uint8Array>(undefined, compareStrings)
  /** Handed over and not answered yet, oldest first. */
  #pending: (readonly TableWrite[])[] = []
  #mount = 0
  #failWrites = 0
  full = false
  slowness = 1

  constructor(world: StorageWorld) {
    this.#world = world
  }

  /** The table as one run of a node sees it. Ends the mount before, as a dying process does. */
  mount(): Table {
    if (this.#pending.length > 0) this.powerCut()
    const mount = ++this.#mount
    let queue: Promise<unknown> = Promise.resolve()
    const dead = (): boolean => mount !== this.#mount
    const write = async (batch: readonly TableWrite[]): Promise<void> => {
      if (dead()) return never()
      this.#world.onOperation?.('begin', 'table write')
      if (dead()) return never()
      await operationTime(this.#world, this.slowness)
      if (dead()) return never()
      if (this.full || this.#failWrites > 0) {
        this.#pending.shift()
        if (this.full) throw new DiskError('full', 'no space left in the table')
        this.#failWrites--
        throw new DiskError('io', 'the table write failed')
      }
      assert(this.#pending.shift() === batch, 'table writes are answered in order')
      this.#apply(batch)
      this.#world.onOperation?.('end', 'table write')
      return dead() ? never() : undefined
    }
    return {
      get: key => this.#tree.get(key)?.slice(),
      scan: (from, to, options = {}) => this.#scan(from, to, options.limit, options.reverse ?? false),
      write: batch => {
        this.#pending.push(batch)
        const result = queue.then(() => write(batch))
        queue = result.catch(() => {})
        return result
      },
      close: async () => {
        await queue
      },
    }
  }

  powerCut(): void {
    this.#mount++
    const survivors = randomBelow(this.#world.random, this.#pending.length + 1)
    for (const batch of this.#pending.slice(0, survivors)) {
      this.#apply(batch)
      this.#world.onFault?.('batch survived unanswered')
    }
    this.#pending = []
  }

  failNextWrite(): void {
    this.#failWrites++
  }

  get size(): number {
    return this.#tree.size
  }

  keys(): ByteString[] {
    return this.#tree.keysArray()
  }

  /** The stored bytes, for those who play the vandal. */
  peek(key: ByteString): Uint8Array | undefined {
    return this.#tree.get(key)?.slice()
  }

  /** Flips a bit of the value stored under `key`. */
  flipBit(key: ByteString): void {
    const value = this.#tree.get(key)
    assert(value !== undefined && value.length > 0, 'there is a value to damage', key)
    const damaged = value.slice()
    damaged[randomBelow(this.#world.random, damaged.length)]! ^= 1 << randomBelow(this.#world.random, 8)
    this.#tree.set(key, damaged)
    this.#world.onFault?.('bit flipped')
  }

  /** Flips a bit in some values at random; gives their keys. */
  flipBits(probability: number): ByteString[] {
    const victims = this.keys().filter(() => randomChance(this.#world.random, probability))
    for (const key of victims) this.flipBit(key)
    return victims
  }

  #apply(batch: readonly TableWrite[]): void {
    for (const { key, value } of batch) {
      if (value === undefined) this.#tree.delete(key)
      else this.#tree.set(key, value.slice())
    }
  }

  *#scan(
    from: ByteString,
    to: ByteString | undefined,
    limit = Number.POSITIVE_INFINITY,
    reverse: boolean,
  ): IterableIterator<[ByteString, Uint8Array]> {
    if (this.#tree.size === 0 || limit <= 0) return
    let count = 0
    const pairs = reverse ? this.#tree.entriesReversed(to, undefined, true) : this.#tree.entries(from)
    for (const [key, value] of pairs) {
      if (reverse ? key < from : to !== undefined && key >= to) return
      yield [key, value.slice()]
      if (++count >= limit) return
    }
  }
}
