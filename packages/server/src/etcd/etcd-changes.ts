/**
 * Changing and reading one register in etcd: transactions, given the meaning users see.
 *
 * `change` looks, runs the function, and writes in a transaction that expects the register as it was seen;
 * who comes second looks again. Each change leaves its operation id in the value, so a retry (of this
 * call or of an earlier one) that finds its id answers success and writes nothing.
 *
 * Why a rejection can be trusted. A transaction T of an earlier attempt of the same operation may still be
 * under way: unanswered, it lands when it lands. T expects the register at the revision r it was decided
 * on, and the register never comes back to r (etcd-cells.ts). Before `rejected` is answered the register is
 * *fenced*: rewritten as it is, in a transaction that expects the revision r' at which the function rejected.
 * Any definite answer settles it. Done: the register has moved past r', so T (r <= r') fails for ever.
 * Not done: it has moved by itself, T fails too, or T was the one that moved it: then its id is in the value
 * that the answer brings, and the operation is committed. No answer: not settled, so the loop goes on, and at
 * the deadline nothing is claimed. (The function alone would not do: it is pure, but a retry may come with
 * another closure, such as a later time.)
 *
 * Outcomes: `committed`; `rejected`; `not-applied`: no transaction of the change was sent by this call;
 * `unknown`: one was, and may land yet. As with the embedded registers, a claim is about this call, and
 * ids are remembered for the last `limits.registerOperationsMax` changes.
 */

import {
  type ByteString,
  type ChangeFunction,
  type ChangeOutcome,
  type Clock,
  type OperationId,
  pause,
  QuorateError,
  type Random,
  randomUnit,
  type Versioned,
} from '@quorate/core'
import { changedCell } from './etcd-cell.ts'
import type { EtcdCells, Look } from './etcd-cells.ts'
import type { EtcdAnswer } from './etcd-gateway.ts'

export interface EtcdWorld {
  readonly cells: EtcdCells
  readonly clock: Clock
  readonly random: Random
  readonly isClosed: () => boolean
}

export interface EtcdChange {
  readonly key: ByteString
  readonly change: ChangeFunction
  readonly operationId: OperationId
  /** Monotonic time after which no new attempt starts. */
  readonly deadlineMs: number
}

/** Two that collide are apart again after a few milliseconds; an etcd that is down is asked twice a second. */
const BACKOFF_MIN_MS = 4
const BACKOFF_MAX_MS = 500

/** What one attempt came to. */
type Attempt =
  | { readonly kind: 'settled'; readonly outcome: ChangeOutcome }
  | { readonly kind: 'again'; readonly sent: boolean; readonly permanent: boolean; readonly reason: string }

const settled = (outcome: ChangeOutcome): Attempt => ({ kind: 'settled', outcome })
const COLLISION: Attempt = { kind: 'again', sent: false, permanent: false, reason: 'others kept changing it' }

export async function changeInEtcd(world: EtcdWorld, request: EtcdChange): Promise<ChangeOutcome> {
  let sent = false
  let reason = 'no time was left'
  for (let round = 0; !world.isClosed(); round++) {
    const attempt = await attemptChange(world, request)
    if (attempt.kind === 'settled') return attempt.outcome
    sent ||= attempt.sent
    ;({ reason } = attempt)
    if (attempt.permanent || !(await backOff(world, round, request.deadlineMs))) break
  }
  return { kind: sent ? 'unknown' : 'not-applied', reason: world.isClosed() ? 'closed' : reason }
}

async function attemptChange({ cells }: EtcdWorld, request: EtcdChange): Promise<Attempt> {
  const { key, deadlineMs } = request
  const look = await cells.look(key, deadlineMs)
  if (look.kind === 'failed') return { ...look, kind: 'again', sent: false }
  const { register } = look.body.cell
  const repeated = repetition(look.body, request.operationId)
  if (repeated !== undefined) return settled(repeated)
  const decision = request.change(register.value, register.version)
  if ('reject' in decision) return settleRejection(cells, request, look.body, decision.reject)
  const { value } = decision
  const bytes = changedCell(register, value, request.operationId)
  const answer = await cells.replace(key, look.body, bytes, deadlineMs)
  if (answer.kind === 'failed') return { ...answer, kind: 'again' }
  if (!answer.body.done) return COLLISION
  const version = answer.body.revision
  return settled({ kind: 'committed', current: { version, value }, version, repeated: false })
}

async function settleRejection(
  cells: EtcdCells,
  { key, operationId, deadlineMs }: EtcdChange,
  seen: Look,
  reason: string,
): Promise<Attempt> {
  const fenced = await cells.fence(key, seen, deadlineMs)
  if (fenced.kind === 'failed') return { ...fenced, kind: 'again', sent: false }
  const { now } = fenced.body
  // Gone again in the meantime: the id that would tell may be gone with it.
  if (now !== undefined && now.cell.revision === 0) return COLLISION
  const repeated = now === undefined ? undefined : repetition(now, operationId)
  return settled(repeated ?? { kind: 'rejected', reason, current: versioned(seen) })
}

function repetition(found: Look, id: OperationId): ChangeOutcome | undefined {
  const done = found.cell.register.operations.find(operation => operation.id === id)
  return done === undefined
    ? undefined
    : { kind: 'committed', current: versioned(found), version: done.version, repeated: true }
}

const versioned = ({ cell: { register } }: Look): Versioned => ({
  version: register.version,
  value: register.value,
})

/** Rejects with UNAVAILABLE when etcd does not answer in time. */
export async function readFromEtcd(
  world: EtcdWorld,
  key: ByteString,
  deadlineMs: number,
): Promise<Versioned & { readonly revision: number }> {
  let reason = 'no time was left'
  for (let round = 0; !world.isClosed(); round++) {
    const look = await world.cells.look(key, deadlineMs)
    if (look.kind === 'answer') return { ...versioned(look.body), revision: look.body.cell.revision }
    ;({ reason } = look)
    if (look.permanent || !(await backOff(world, round, deadlineMs))) break
  }
  throw new QuorateError('UNAVAILABLE', `register not readable: ${world.isClosed() ? 'closed' : reason}`)
}

/** Removes a deleted register for good, unless it lives again. False: try later. */
export async function collectFromEtcd(
  { cells }: EtcdWorld,
  key: ByteString,
  version: number,
  deadlineMs: number,
): Promise<boolean> {
  const look = await cells.look(key, deadlineMs)
  if (look.kind === 'failed') return false
  const { register, revision } = look.body.cell
  if (revision === 0 || register.value !== undefined || register.version !== version) return true
  const collected: EtcdAnswer<{ readonly done: boolean }> = await cells.collect(key, look.body, deadlineMs)
  return collected.kind === 'answer' && collected.body.done
}

/** Waits longer each round, by chance so that two who collide part. False: no time is left. */
async function backOff({ clock, random }: EtcdWorld, round: number, deadlineMs: number): Promise<boolean> {
  const longestMs = Math.min(BACKOFF_MAX_MS, BACKOFF_MIN_MS * 2 ** Math.min(round, 16))
  const leftMs = deadlineMs - clock.monotonicMs()
  if (leftMs <= 0) return false
  await pause(clock, Math.min(leftMs, longestMs * (0.25 + 0.75 * randomUnit(random))))
  return clock.monotonicMs() < deadlineMs
}
