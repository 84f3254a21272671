/**
 * The steps of a move, as changes of a piece of the map: pure, run inside compare-and-set, each a no-op when
 * it was done before. See SPEC.md for what must have happened before each.
 */

import type { ByteString, NodeId } from '../base/ids.ts'
import { changeChunk, splitChunk, withMove } from '../partitioning/map-chunks.ts'
import {
  type MapChunk,
  MOVE_STAGES,
  type MoveStage,
  type Partition,
  type PartitionEntry,
} from '../partitioning/partition-map.ts'

/** Before it: everything is as it was, and can be taken back. */
export const POINT_OF_NO_RETURN: MoveStage = 'read-new'

const ordinal = (stage: MoveStage): number => MOVE_STAGES.indexOf(stage)
export const isSwitched = (stage: MoveStage): boolean => ordinal(stage) >= ordinal(POINT_OF_NO_RETURN)

const sameMembers = (a: readonly NodeId[], b: readonly NodeId[]): boolean =>
  a.length === b.length && a.every(node => b.includes(node))

export interface ChunkPlan {
  /** Boundaries to cut at first. */
  readonly splits: readonly ByteString[]
  /** New homes, by where the partition starts. */
  readonly moves: ReadonlyMap<ByteString, readonly NodeId[]>
}

/** Cuts, and puts moves in the queue. A partition that is moving already keeps its move. */
export function applyPlan(chunk: MapChunk, plan: ChunkPlan, task: string, chunks: number): MapChunk {
  const cut = splitChunk(chunk, plan.splits, chunks) ?? chunk
  const base = { ...cut, version: chunk.version }
  const queued = changeChunk(base, entry => {
    const to = plan.moves.get(entry.start)
    if (to === undefined || entry.move !== undefined || to.length === 0) return entry
    return sameMembers(to, entry.replicas)
      ? entry
      : withMove(entry, { task, session: 0, stage: 'queued', to })
  })
  return queued ?? { ...cut, version: chunk.version + 1 }
}

/** Is an entry one of those that the step was decided on? Asked of the map as it is when the step is taken. */
export type IsMeant = (entry: PartitionEntry) => boolean

/**
 * The same attempt under the same version. The stage alone does not tell: a move that was taken back and begun
 * anew comes through the same stages, and what was answered to the first attempt says nothing about the second.
 */
export function sameAttempt(seen: Iterable<Pick<Partition, 'id' | 'version' | 'move'>>): IsMeant {
  const byId = new Map([...seen].map(partition => [partition.id, partition]))
  return ({ id, version, move }) => {
    const known = byId.get(id)
    return (
      known !== undefined &&
      known.version === version &&
      known.move?.task === move?.task &&
      known.move?.session === move?.session
    )
  }
}

/** One stage on, for those that are meant and still in `from`. */
export function advance(chunk: MapChunk, isMeant: IsMeant, from: MoveStage): MapChunk | undefined {
  const next = MOVE_STAGES[ordinal(from) + 1]
  return changeChunk(chunk, (entry, version) => {
    const { move } = entry
    if (move?.stage !== from || !isMeant(entry)) return entry
    if (next === undefined) return { ...entry, replicas: move.to, move: undefined }
    const session = next === 'prepare' ? version : move.session
    return withMove(entry, { ...move, stage: next, session })
  })
}

/** Takes back every move that is meant and has not been switched. */
export function takeBack(chunk: MapChunk, isMeant: IsMeant): MapChunk | undefined {
  return changeChunk(chunk, entry => {
    const { move } = entry
    return move !== undefined && !isSwitched(move.stage) && isMeant(entry)
      ? withMove(entry, undefined)
      : entry
  })
}
