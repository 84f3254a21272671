/**
 * A disk that may do everything the `Disk` contract allows, and then some.
 *
 * The platter outlives the process: `mount()` gives the disk to one run of a node; a power cut ends
 * that mount (its operations never answer again) and decides what became of everything that was not
 * synced. Bytes appended count as unsynced from the call on, so a cut in the middle of an append may
 * keep part of it.
 *
 * Faults: lost, cut and zeroed unsynced tails; files whose name was never synced vanish; removes not
 * followed by a directory sync are undone; a failed sync, after which the file's bytes look written but
 * never reach the platter however often they are synced; a full disk, with the part that fits written;
 * flipped bits; slowness. Breaking the contract (using a file again after its append or sync failed) is
 * an assertion.
 */

import {
  assert,
  compareStrings,
  type Disk,
  DiskError,
  type DiskFile,
  randomBelow,
  randomChance,
  randomPick,
} from '@quorate/core'
import { never, operationTime, type StorageWorld } from './storage-faults.ts'

const SECTOR_BYTES = 512

interface FileState {
  content: Uint8Array
  size: number
  /** Bytes that a power cut cannot touch. */
  synced: number
  /** The directory entry is durable. */
  nameSynced: boolean
  /** A sync failed: bytes past `synced` are in the cache only, for ever. */
  poisoned: boolean
}

export class SimDisk {
  readonly #world: StorageWorld
  readonly #files = new Map<string, FileState>()
  /** Removed (or replaced) files whose removal a power cut may undo. */
  readonly #removed = new Map<string, FileState>()
  #mount = 0
  #failSyncs = 0
  #failAppends = 0
  #capacityBytes = Number.POSITIVE_INFINITY
  slowness = 1

  constructor(world: StorageWorld) {
    this.#world = world
  }

  /** The disk as one run of a node sees it, until the next power cut or mount. */
  mount(): Disk {
    const mount = ++this.#mount
    return {
      open: name => this.#operation(mount, `open ${name}`, () => this.#open(mount, name)),
      read: name => this.#operation(mount, `read ${name}`, () => this.#read(name)),
      list: () => this.#operation(mount, 'list', () => [...this.#files.keys()].sort(compareStrings)),
      remove: name => this.#operation(mount, `remove ${name}`, () => this.#remove(name)),
    }
  }

  /** The process dies and the machine with it. */
  powerCut(): void {
    this.#mount++
    this.#fault('power cut')
    this.#failSyncs = 0
    this.#failAppends = 0
    const { random } = this.#world
    for (const [name, file] of [...this.#files]) {
      if (!file.nameSynced && randomChance(random, 0.5)) {
        this.#files.delete(name)
        this.#fault('unsynced file vanished')
      } else {
        this.#loseTail(file)
        file.nameSynced = true
        file.poisoned = false
      }
    }
    for (const [name, file] of this.#removed) {
      if (this.#files.has(name) || !randomChance(random, 0.5)) continue
      this.#loseTail(file)
      this.#files.set(name, file)
      this.#fault('remove undone')
    }
    this.#removed.clear()
  }

  /** The process dies, the machine lives: what was written is still in its cache. */
  processKill(): void {
    this.#mount++
  }

  failNextSync(): void {
    this.#failSyncs++
  }

  failNextAppend(): void {
    this.#failAppends++
  }

  /** Room for so many bytes in all files together. */
  setCapacity(bytes: number): void {
    this.#capacityBytes = bytes
  }

  get usedBytes(): number {
    let bytes = 0
    for (const file of this.#files.values()) bytes += file.size
    return bytes
  }

  names(): string[] {
    return [...this.#files.keys()].sort(compareStrings)
  }

  size(name: string): number {
    return this.#file(name).size
  }

  /** Flips one bit of what is stored; at random places what is not given. */
  flipBit(name?: string, offset?: number): { name: string; offset: number } {
    const { random } = this.#world
    const victim =
      name ??
      randomPick(
        random,
        this.names().filter(each => this.size(each) > 0),
      )
    const file = this.#file(victim)
    const at = offset ?? randomBelow(random, file.size)
    assert(at < file.size, 'the flipped bit lies in the file', { victim, at })
    file.content[at]! ^= 1 << randomBelow(random, 8)
    this.#fault('bit flipped')
    return { name: victim, offset: at }
  }

  /** For tests that play the vandal: the stored bytes, to be replaced or deleted. */
  peek(name: string): Uint8Array {
    const file = this.#file(name)
    return file.content.slice(0, file.size)
  }

  poke(name: string, content: Uint8Array | undefined): void {
    if (content === undefined) this.#files.delete(name)
    else {
      const size = content.length
      this.#files.set(name, {
        content: content.slice(),
        size,
        synced: size,
        nameSynced: true,
        poisoned: false,
      })
    }
  }

  async #operation<T>(mount: number, what: string, run: () => T): Promise<T> {
    if (mount !== this.#mount) return never()
    this.#world.onOperation?.('begin', what)
    await operationTime(this.#world, this.slowness)
    if (mount !== this.#mount) return never()
    const result = run()
    this.#world.onOperation?.('end', what)
    return mount === this.#mount ? result : never()
  }

  #open(mount: number, name: string): DiskFile {
    let file = this.#files.get(name)
    if (file === undefined) {
      file = { content: new Uint8Array(1024), size: 0, synced: 0, nameSynced: false, poisoned: false }
      this.#files.set(name, file)
    }
    return this.#handle(mount, name, file)
  }

  #handle(mount: number, name: string, file: FileState): DiskFile {
    let queue: Promise<unknown> = Promise.resolve()
    let usable = true
    const ordered = <T>(run: () => Promise<T>): Promise<T> => {
      const result = queue.then(run)
      queue = result.catch(() => {})
      return result
    }
    const dead = (): boolean => mount !== this.#mount
    return {
      size: () => file.size,
      append: bytes => {
        assert(usable, 'a file is not used after a failed append or sync', name)
        if (dead()) return never()
        this.#world.onOperation?.('begin', `append ${name}`)
        if (dead()) return never()
        const error = this.#append(file, name, bytes)
        return ordered(async () => {
          await operationTime(this.#world, this.slowness)
          if (dead()) return never()
          if (error !== undefined) {
            usable = false
            throw error
          }
          this.#world.onOperation?.('end', `append ${name}`)
          return dead() ? never() : undefined
        })
      },
      sync: () => {
        assert(usable, 'a file is not used after a failed append or sync', name)
        if (dead()) return never()
        return ordered(async () => {
          if (dead()) return never()
          this.#world.onOperation?.('begin', `sync ${name}`)
          const size = file.size
          await operationTime(this.#world, this.slowness)
          if (dead()) return never()
          if (this.#failSyncs > 0) {
            this.#failSyncs--
            file.poisoned = true
            usable = false
            this.#fault('sync failed')
            throw new DiskError('io', `sync of ${name} failed`)
          }
          this.#sync(name, file, size)
          this.#world.onOperation?.('end', `sync ${name}`)
          return dead() ? never() : undefined
        })
      },
      close: () => ordered(() => this.#operation(mount, `close ${name}`, () => {})),
    }
  }

  #append(file: FileState, name: string, bytes: Uint8Array): DiskError | undefined {
    if (this.#failAppends > 0) {
      this.#failAppends--
      this.#grow(file, bytes.subarray(0, randomBelow(this.#world.random, bytes.length + 1)))
      this.#fault('append failed')
      return new DiskError('io', `append to ${name} failed`)
    }
    const room = Math.max(0, this.#capacityBytes - this.usedBytes)
    if (bytes.length <= room) {
      this.#grow(file, bytes)
      return undefined
    }
    this.#grow(file, bytes.subarray(0, room))
    this.#fault('disk full')
    return new DiskError('full', `no space left for ${name}`)
  }

  #grow(file: FileState, bytes: Uint8Array): void {
    const size = file.size + bytes.length
    if (size > file.content.length) {
      const grown = new Uint8Array(Math.max(size, file.content.length * 2))
      grown.set(file.content.subarray(0, file.size))
      file.content = grown
    }
    file.content.set(bytes, file.size)
    file.size = size
  }

  #sync(name: string, file: FileState, size: number): void {
    if (!file.poisoned) file.synced = Math.max(file.synced, size)
    if (this.#files.get(name) !== file || file.nameSynced) return
    // The first sync of a file syncs its directory, and with it every remove before.
    file.nameSynced = true
    this.#removed.clear()
  }

  #read(name: string): Uint8Array {
    const file = this.#files.get(name)
    if (file === undefined) throw new DiskError('not-found', `there is no file ${name}`)
    return file.content.slice(0, file.size)
  }

  #remove(name: string): void {
    const file = this.#files.get(name)
    if (file === undefined) throw new DiskError('not-found', `there is no file ${name}`)
    this.#files.delete(name)
    if (file.nameSynced && !this.#removed.has(name)) this.#removed.set(name, file)
  }

  /** What the power cut leaves of the bytes that were not synced. */
  #loseTail(file: FileState): void {
    const { random } = this.#world
    const unsynced = file.size - file.synced
    if (unsynced > 0) {
      const fate = randomBelow(random, 4)
      if (fate === 0) {
        file.size = file.synced
        this.#fault('unsynced bytes lost')
      } else if (fate === 1) {
        file.size = file.synced + randomBelow(random, unsynced)
        this.#fault('unsynced bytes cut')
      } else if (fate === 2) this.#zeroSectors(file)
    }
    file.synced = file.size
  }

  #zeroSectors(file: FileState): void {
    const first = Math.floor(file.synced / SECTOR_BYTES)
    const last = Math.floor((file.size - 1) / SECTOR_BYTES)
    const certain = first + randomBelow(this.#world.random, last - first + 1)
    for (let sector = first; sector <= last; sector++) {
      if (sector !== certain && !randomChance(this.#world.random, 0.3)) continue
      const from = Math.max(sector * SECTOR_BYTES, file.synced)
      file.content.fill(0, from, Math.min((sector + 1) * SECTOR_BYTES, file.size))
      this.#fault('sector zeroed')
    }
  }

  #file(name: string): FileState {
    const file = this.#files.get(name)
    assert(file !== undefined, 'there is such a file', name)
    return file
  }

  #fault(fault: Parameters<NonNullable<StorageWorld['onFault']>>[0]): void {
    this.#world.onFault?.(fault)
  }
}
