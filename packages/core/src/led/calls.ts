/** What `now()`, `random()`, `uuid()` and `id()` answer where a write is ordered. */

import { stringToHex } from '../base/bytes.ts'
import { QuorateError } from '../base/errors.ts'
import { randomByteString, randomUnit } from '../base/prng.ts'
import { stampMs } from '../causality/hybrid-clock.ts'
import type { NodeContext } from '../leaderless/node-context.ts'
import { generatedId } from '../leadership/leadership.ts'
import type { CallSource } from '../updates/apply-update.ts'

/** `nextId`: of the epoch, from 0. */
export function callSource(node: NodeContext, epoch: number, nextId: () => number): CallSource {
  return { ...localCalls(node), id: () => generatedId(epoch, nextId()) }
}

/** On a replica that executes calls itself: each answers otherwise than everywhere else. */
export function localCalls(node: Pick<NodeContext, 'random' | 'hybrid'>): CallSource {
  return {
    now: () => stampMs(node.hybrid.peek()),
    random: () => randomUnit(node.random),
    uuid: () => uuid(randomByteString(node.random, 16)),
    id: () => {
      throw new QuorateError('BAD_REQUEST', 'id() is given out by the leader alone: it must be frozen')
    },
  }
}

/** RFC 9562, version 4: random bits, with version and variant in their places. */
function uuid(random: string): string {
  const bytes = [...random].map(char => char.charCodeAt(0))
  bytes[6] = (bytes[6]! & 0x0f) | 0x40
  bytes[8] = (bytes[8]! & 0x3f) | 0x80
  const hex = stringToHex(String.fromCharCode(...bytes) as never)
  return [8, 12, 16, 20, 32].map((end, at, ends) => hex.slice(at === 0 ? 0 : ends[at - 1], end)).join('-')
}
