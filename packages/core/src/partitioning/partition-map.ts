/**
 * The partition map of a table: sorted boundaries → who keeps the rows between them. Every partitioner makes
 * one, and the data path asks it only `locate`.
 *
 * A partition is one contiguous range of store keys [from, to), whatever the partitioner (hash tables have
 * the token first in the key). It has a *version*: the version of its piece of the map when its bounds or its
 * sets last changed. Two nodes agree about a row exactly when they have the same version of its partition, so
 * that is what requests carry; a change elsewhere in the map troubles nobody.
 *
 * While a partition moves from `replicas` to other nodes its sets follow from the stage (DESIGN §9):
 *
 *   stage                        reads and coordinators   every write needs W of      rows are kept by
 *   queued                       old                      old                         old
 *   prepare                      old                      old                         old, new
 *   write-both, stream, verify   old                      old and, apart, new         old, new
 *   read-new                     new                      old and, apart, new         old, new
 *   new-only                     new                      new                         new (old clean up)
 *
 * Invariants: the first partition starts where the table's rows do, each ends where the next starts, the last
 * where the table's rows end; `replicas` are distinct nodes; for every key the versions of the partitions that
 * held it over time strictly increase.
 */

import { assert } from '../base/assert.ts'
import { prefixEnd, stringToU32 } from '../base/bytes.ts'
import type { ByteString, NodeId, TableId } from '../base/ids.ts'
import type { Lead } from '../leadership/leadership.ts'
import { tablePrefix } from './row-key.ts'

export const MOVE_STAGES = [
  'queued',
  'prepare',
  'write-both',
  'stream',
  'verify',
  'read-new',
  'new-only',
] as const
export type MoveStage = (typeof MOVE_STAGES)[number]

/** A partition on its way to other nodes. */
export interface Move {
  /** The task that moves it. */
  readonly task: string
  /** Names this attempt: streams of another one are refused. 0 until it is prepared. */
  readonly session: number
  readonly stage: MoveStage
  /** The homes when it is done. */
  readonly to: readonly NodeId[]
}

/** A partition as the registers keep it. */
export interface PartitionEntry {
  /** Never used again for another partition of the table. */
  readonly id: number
  readonly version: number
  /** Where it starts, as the part of a row's store key behind the table; '' for the first. */
  readonly start: ByteString
  /** The homes; while it moves, the old ones. */
  readonly replicas: readonly NodeId[]
  readonly move: Move | undefined
  /** Who leads it, on tables with one leader per partition. */
  readonly lead?: Lead | undefined
}

/** A piece of the map: neighbouring partitions that are kept, changed and sent together. */
export interface MapChunk {
  /** Grows by one with every change. */
  readonly version: number
  /** Next id for a partition that is made by a split here. */
  readonly nextId: number
  readonly partitions: readonly PartitionEntry[]
}

export interface Partition {
  readonly id: number
  readonly version: number
  /** The chunk of the map that says so. */
  readonly chunk: number
  /** Store keys of its rows: from `from`, inclusive, to `to`, exclusive. */
  readonly from: ByteString
  readonly to: ByteString
  /** Who answers reads and coordinates writes: the N home replicas. */
  readonly replicas: readonly NodeId[]
  /** A write needs its number of acknowledgements in each of these. One set, and two during a move. */
  readonly writeSets: readonly (readonly NodeId[])[]
  /** Who keeps its rows: the members of all write sets, and those that are getting ready to be. */
  readonly holders: readonly NodeId[]
  readonly move: Move | undefined
  /** Homes in the registers: the old ones during a move. */
  readonly settled: readonly NodeId[]
  readonly lead?: Lead | undefined
}

export interface PartitionMap {
  readonly table: TableId
  /** Grows with every change of any of its pieces. */
  readonly version: number
  readonly chunks: readonly MapChunk[]
  readonly partitions: readonly Partition[]
  /** The partition a row (or a boundary) belongs to, by its store key. */
  locate(key: ByteString): Partition
  find(id: number): Partition | undefined
  /** Homes, then everyone else in the order in which they stand in. */
  preference(partition: Partition): readonly NodeId[]
}

const union = (a: readonly NodeId[], b: readonly NodeId[]): NodeId[] => [...new Set([...a, ...b])]

/** The sets of a partition, as the table above has them. */
export function partitionSets({
  replicas: old,
  move,
}: Pick<PartitionEntry, 'replicas' | 'move'>): Pick<Partition, 'replicas' | 'writeSets' | 'holders'> {
  switch (move?.stage) {
    case undefined:
    case 'queued':
      return { replicas: old, writeSets: [old], holders: old }
    case 'prepare':
      return { replicas: old, writeSets: [old], holders: union(old, move!.to) }
    case 'write-both':
    case 'stream':
    case 'verify':
      return { replicas: old, writeSets: [old, move!.to], holders: union(old, move!.to) }
    case 'read-new':
      return { replicas: move!.to, writeSets: [old, move!.to], holders: union(old, move!.to) }
    case 'new-only':
      return { replicas: move!.to, writeSets: [move!.to], holders: move!.to }
  }
}

/** Nodes that get the rows, and that lose them. */
export function receivers(partition: Partition): NodeId[] {
  const { move, settled } = partition
  return move === undefined ? [] : move.to.filter(node => !settled.includes(node))
}

export function leavers(partition: Partition): NodeId[] {
  const { move, settled } = partition
  return move === undefined ? [] : settled.filter(node => !move.to.includes(node))
}

/** Where the token stands in a store key. */
const TOKEN_AT = 5

class ChunkIndex {
  readonly partitions: readonly Partition[]
  readonly #starts: readonly ByteString[]
  readonly #tokens: Uint32Array | undefined

  constructor(
    table: TableId,
    hashed: boolean,
    chunk: MapChunk,
    index: number,
    firstFrom: ByteString,
    end: ByteString,
  ) {
    const prefix = tablePrefix(table)
    const entries = chunk.partitions
    const bound = (entry: PartitionEntry): ByteString => (prefix + entry.start) as ByteString
    this.partitions = entries.map((entry, at): Partition => {
      const from = at === 0 ? firstFrom : bound(entry)
      const to = at + 1 < entries.length ? bound(entries[at + 1]!) : end
      assert(from < to, 'partitions ascend', { table, chunk: index, at })
      const { id, version, move, lead } = entry
      assert(new Set(entry.replicas).size === entry.replicas.length, 'replicas are distinct', entry)
      const sets = partitionSets(entry)
      return { id, version, chunk: index, from, to, move, settled: entry.replicas, lead, ...sets }
    })
    this.#starts = this.partitions.map(partition => partition.from)
    this.#tokens = hashed ? tokensOf(this.#starts) : undefined
  }

  locate(key: ByteString): Partition {
    const at =
      this.#tokens === undefined
        ? lastAtMost(this.#starts, key)
        : lastTokenAtMost(this.#tokens, stringToU32(key, TOKEN_AT))
    return this.partitions[at]!
  }
}

/** Boundaries of hash tables are tokens; the first may be the bare prefix of the table. */
function tokensOf(starts: readonly ByteString[]): Uint32Array {
  return Uint32Array.from(starts, start => (start.length > TOKEN_AT ? stringToU32(start, TOKEN_AT) : 0))
}

function lastAtMost(starts: readonly string[], key: string): number {
  let low = 0
  let high = starts.length - 1
  while (low < high) {
    const middle = (low + high + 1) >>> 1
    if (starts[middle]! <= key) low = middle
    else high = middle - 1
  }
  return low
}

function lastTokenAtMost(starts: Uint32Array, token: number): number {
  let low = 0
  let high = starts.length - 1
  while (low < high) {
    const middle = (low + high + 1) >>> 1
    if (starts[middle]! <= token) low = middle
    else high = middle - 1
  }
  return low
}

/** How nodes that are no homes stand in for them, for one partition. */
export type FallbackOrder = (partition: Partition) => readonly NodeId[]

/** Made anew of a few chunks when one of them changes; the others are taken over as they are. */
export class ChunkedMap implements PartitionMap {
  readonly table: TableId
  readonly version: number
  readonly chunks: readonly MapChunk[]
  readonly #indexes: readonly ChunkIndex[]
  readonly #starts: readonly ByteString[]
  readonly #tokens: Uint32Array | undefined
  readonly #fallbacks: FallbackOrder
  #partitions: readonly Partition[] | undefined
  #byId: Map<number, Partition> | undefined

  constructor(
    table: TableId,
    hashed: boolean,
    chunks: readonly MapChunk[],
    fallbacks: FallbackOrder,
    before?: ChunkedMap,
  ) {
    assert(chunks.length > 0, 'a map has chunks', { table })
    this.table = table
    this.chunks = chunks
    this.#fallbacks = fallbacks
    this.version = chunks.reduce((sum, chunk) => sum + chunk.version, 1 - chunks.length)
    const prefix = tablePrefix(table)
    const starts = chunks.map((chunk, at) =>
      at === 0 ? prefix : ((prefix + chunk.partitions[0]!.start) as ByteString),
    )
    this.#starts = starts
    this.#tokens = hashed ? tokensOf(starts) : undefined
    const end = prefixEnd(prefix)!
    this.#indexes = chunks.map((chunk, at) => {
      if (before !== undefined && before.chunks[at] === chunk) return before.#indexes[at]!
      return new ChunkIndex(table, hashed, chunk, at, starts[at]!, starts[at + 1] ?? end)
    })
  }

  locate(key: ByteString): Partition {
    const starts = this.#tokens
    const at =
      this.#indexes.length === 1
        ? 0
        : starts === undefined
          ? lastAtMost(this.#starts, key)
          : lastTokenAtMost(starts, stringToU32(key, TOKEN_AT))
    return this.#indexes[at]!.locate(key)
  }

  get partitions(): readonly Partition[] {
    this.#partitions ??= this.#indexes.flatMap(index => index.partitions)
    return this.#partitions
  }

  find(id: number): Partition | undefined {
    this.#byId ??= new Map(this.partitions.map(partition => [partition.id, partition]))
    return this.#byId.get(id)
  }

  preference(partition: Partition): readonly NodeId[] {
    const { replicas } = partition
    return [...replicas, ...this.#fallbacks(partition).filter(node => !replicas.includes(node))]
  }
}
