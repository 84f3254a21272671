/**
 * Making and changing pieces of a partition map: pure functions, run inside compare-and-set.
 *
 * A chunk's first boundary never changes, so chunks can be changed each on its own. `version` of an entry is
 * set to the chunk's new version exactly when its bounds or its sets (`partitionSets`) change.
 */

import { assert } from '../base/assert.ts'
import type { ByteString, NodeId } from '../base/ids.ts'
import { murmur3OfString } from '../base/murmur3.ts'
import type { Lead } from '../leadership/leadership.ts'
import { type MapChunk, type Move, type PartitionEntry, partitionSets } from './partition-map.ts'

/** Partitions of a new hash table that share a chunk: a change of one costs the bytes of so many. */
export const CHUNK_PARTITIONS = 64

export interface StartingPartition {
  readonly start: ByteString
  readonly replicas: readonly NodeId[]
  readonly lead?: Lead | undefined
}

/** The chunks of a new table. */
export function firstChunks(partitions: readonly StartingPartition[]): MapChunk[] {
  assert(partitions.length > 0 && partitions[0]!.start === '', 'the first partition starts the table')
  const count = Math.ceil(partitions.length / CHUNK_PARTITIONS)
  return Array.from({ length: count }, (_, chunk) => {
    const from = Math.floor((chunk * partitions.length) / count)
    const to = Math.floor(((chunk + 1) * partitions.length) / count)
    return {
      version: 1,
      nextId: partitions.length + chunk,
      partitions: partitions.slice(from, to).map(({ start, replicas, lead }, at) => ({
        id: from + at,
        version: 1,
        start,
        replicas,
        move: undefined,
        lead,
      })),
    }
  })
}

const sameNodes = (a: readonly NodeId[], b: readonly NodeId[]): boolean =>
  a.length === b.length && a.every((node, at) => node === b[at])

/** Do reads and writes of the two go to the same nodes, under the same leader? */
function sameSets(a: PartitionEntry, b: PartitionEntry): boolean {
  const [x, y] = [partitionSets(a), partitionSets(b)]
  return (
    sameNodes(x.replicas, y.replicas) &&
    x.writeSets.length === y.writeSets.length &&
    x.writeSets.every((set, at) => sameNodes(set, y.writeSets[at]!)) &&
    a.lead?.leader === b.lead?.leader &&
    a.lead?.epoch === b.lead?.epoch
  )
}

/** Changes entries; undefined when none changed. `change` returns the entry itself to leave it alone. */
export function changeChunk(
  chunk: MapChunk,
  change: (entry: PartitionEntry, newVersion: number) => PartitionEntry,
): MapChunk | undefined {
  const version = chunk.version + 1
  let changed = false
  const partitions = chunk.partitions.map(entry => {
    const after = change(entry, version)
    if (after === entry) return entry
    changed = true
    return sameSets(entry, after) ? after : { ...after, version }
  })
  return changed ? { ...chunk, version, partitions } : undefined
}

/** Cuts partitions at the given starts; those that are boundaries already change nothing. Undefined: none were new. */
export function splitChunk(
  chunk: MapChunk,
  starts: readonly ByteString[],
  chunks: number,
): MapChunk | undefined {
  const version = chunk.version + 1
  const pending = [...new Set(starts)].sort()
  let { nextId } = chunk
  let cuts = 0
  const partitions = chunk.partitions.flatMap((entry, at): PartitionEntry[] => {
    const end = chunk.partitions[at + 1]?.start
    const inside = pending.filter(start => start > entry.start && (end === undefined || start < end))
    if (inside.length === 0) return [entry]
    cuts += inside.length
    return [entry.start, ...inside].map((start, part): PartitionEntry => {
      const id = part === 0 ? entry.id : nextId
      if (part > 0) nextId += chunks
      return { ...entry, id, start, version }
    })
  })
  return cuts > 0 ? { version, nextId, partitions } : undefined
}

/** Joins a partition with the one before it. Undefined when they are not both settled on the same homes. */
export function mergeChunk(chunk: MapChunk, id: number): MapChunk | undefined {
  const at = chunk.partitions.findIndex(entry => entry.id === id)
  const [left, right] = [chunk.partitions[at - 1], chunk.partitions[at]]
  if (left === undefined || right === undefined || left.move !== undefined || right.move !== undefined)
    return undefined
  const homes = new Set(left.replicas)
  if (homes.size !== right.replicas.length || !right.replicas.every(node => homes.has(node))) return undefined
  const version = chunk.version + 1
  const merged: PartitionEntry = { ...left, version }
  const partitions = [...chunk.partitions.slice(0, at - 1), merged, ...chunk.partitions.slice(at + 1)]
  return { ...chunk, version, partitions }
}

/**
 * Names where the rows of a piece are and go: a plan is made from that. Who leads a partition may change without it; where
 * nobody leads it is the version of the piece.
 */
export function placementOf(chunk: MapChunk): number {
  if (chunk.partitions.every(({ lead }) => lead === undefined)) return chunk.version
  const places = chunk.partitions.map(({ id, start, replicas, move }) => [id, start, replicas, move ?? null])
  return murmur3OfString(JSON.stringify([chunk.nextId, places]) as ByteString, 7)
}

export function withMove(entry: PartitionEntry, move: Move | undefined): PartitionEntry {
  return { ...entry, move }
}
