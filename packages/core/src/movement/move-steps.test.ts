import { describe, expect, test } from 'vitest'
import type { ByteString, NodeId } from '../base/ids.ts'
import {
  type MapChunk,
  MOVE_STAGES,
  type MoveStage,
  type PartitionEntry,
} from '../partitioning/partition-map.ts'
import { advance, applyPlan, sameAttempt, takeBack } from './move-steps.ts'

const nodes = (...names: string[]) => names as NodeId[]
const settled: MapChunk = {
  version: 1,
  nextId: 1,
  partitions: [
    { id: 0, version: 1, start: '' as ByteString, replicas: nodes('a', 'b', 'c'), move: undefined },
  ],
}
const only = (chunk: MapChunk): PartitionEntry => chunk.partitions[0]!
const always = () => true

/** The move of a task, brought to a stage. */
function movedTo(stage: MoveStage, task: string, from: MapChunk = settled): MapChunk {
  const moves = new Map([['' as ByteString, nodes('a', 'b', task === 't1' ? 'd' : 'e')]])
  let chunk = applyPlan(from, { splits: [], moves }, task, 1)
  for (const passed of MOVE_STAGES.slice(0, MOVE_STAGES.indexOf(stage)))
    chunk = advance(chunk, always, passed)!
  return chunk
}

describe('a step is taken only from what it was decided on', () => {
  for (const stage of MOVE_STAGES.slice(0, 6)) {
    test(`a driver that was slow in ${stage} takes no later attempt on`, () => {
      const seen = movedTo(stage, 't1')
      const isMeant = sameAttempt(seen.partitions)
      expect(only(advance(seen, isMeant, stage)!).move!.stage).not.toBe(stage)
      if (stage === 'read-new') return
      // Taken back and planned anew meanwhile: other receivers, which have nothing yet.
      const anew = movedTo(stage, 't2', takeBack(seen, always)!)
      expect(only(anew).move).toMatchObject({ stage, task: 't2' })
      expect(advance(anew, isMeant, stage)).toBeUndefined()
      expect(takeBack(anew, isMeant)).toBeUndefined()
      expect(advance(anew, sameAttempt(anew.partitions), stage)).toBeDefined()
    })
  }
})
