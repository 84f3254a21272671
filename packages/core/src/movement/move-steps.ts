/**
 * The steps of a move, as changes of a piece of the map: pure, run inside compare-and-set, each a no-op when
 * it was done before. See SPEC.md for what must have happened before each.
 */

import type { ByteString, NodeId } from '../base/ids.ts'
import { changeChunk, splitChunk, withMove } from '../partitioning/map-chunks.ts'
import { type MapChunk, MOVE_STAGES, type MoveStage } from '../partitioning/partition-map.ts'

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

/** One stage on, for those of these partitions that are in `from`. */
export function advance(chunk: MapChunk, ids: ReadonlySet<number>, from: MoveStage): MapChunk | undefined {
  const next = MOVE_STAGES[ordinal(from) + 1]
  return changeChunk(chunk, (entry, version) => {
    const { move } = entry
    if (move?.stage !== from || !ids.has(entry.id)) return entry
    if (next === undefined) return { ...entry, replicas: move.to, move: undefined }
    const session = next === 'prepare' ? version : move.session
    return withMove(entry, { ...move, stage: next, session })
  })
}

/** Takes back every move of these partitions that has not been switched. */
export function takeBack(chunk: MapChunk, ids: ReadonlySet<number>): MapChunk | undefined {
  return changeChunk(chunk, entry => {
    const { id, move } = entry
    const isMeant = move !== undefined && !isSwitched(move.stage) && ids.has(id)
    return isMeant ? withMove(entry, undefined) : entry
  })
}
