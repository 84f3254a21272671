/**
 * The acceptor: pure.
 *
 * Problem: an acceptor is the memory of the cluster; every reply is a promise that later replies must
 * not contradict. Mechanism: `step` maps (what is durable, request) to (what must be durable, reply);
 * the host makes it so before the reply leaves.
 * Invariants, per register: accepted <= promised; promised never falls while the register exists;
 * a value is stored under the ballot it was proposed with and no ballot carries two values.
 * Per acceptor: config epoch, joining epoch and erased floor never fall (the floor starts again at 0
 * with a new joining epoch, together with all registers).
 * Departure from Rystsov (2018): prepare needs a ballot *strictly* above the promised one, so one ballot
 * is promised to one preparing round only.
 */

import { assert, unreachable } from '../base/assert.ts'
import type { Incarnation, NodeId } from '../base/ids.ts'
import { type Ballot, ballotIsZero, ballotsEqual, ballotZero, compareBallots } from './ballot.ts'
import { type RegisterConfig, votersEqual } from './register-config.ts'
import type { AcceptorReply, AcceptorRequest, FenceRequest } from './register-messages.ts'

export interface RegisterState {
  readonly promised: Ballot
  /** `ballotZero`: nothing accepted. */
  readonly accepted: Ballot
  /** undefined with a real `accepted` is the tombstone. */
  readonly value: Uint8Array | undefined
}

export interface FenceState {
  readonly node: NodeId
  readonly incarnation: Incarnation
  /** undefined: never part of any cluster. */
  readonly config: RegisterConfig | undefined
  /** Epoch in which this acceptor joined; 0: it is not one. */
  readonly joined: number
  /** Registers that are absent here refuse ballots with a counter up to this. */
  readonly erasedFloor: number
}

export interface AcceptorStep {
  readonly reply: AcceptorReply
  /** Present when the register changes: the new state, or 'absent'. */
  readonly register?: RegisterState | 'absent'
  /** Present when the acceptor's own record changes. */
  readonly fence?: FenceState
}

export const newFenceState = (node: NodeId, incarnation: Incarnation): FenceState => ({
  node,
  incarnation,
  config: undefined,
  joined: 0,
  erasedFloor: 0,
})

export const mustPersist = (step: AcceptorStep): boolean =>
  step.register !== undefined || step.fence !== undefined

export type RegisterRequest = Exclude<AcceptorRequest, { kind: 'keys' | 'fence' }>

/** Refusals that do not depend on a register; undefined lets the request pass. */
export function admit(fence: FenceState, message: AcceptorRequest): AcceptorReply | undefined {
  if (message.incarnation !== fence.incarnation) return wrongIncarnation(fence)
  if (message.kind === 'fence') return undefined
  const known = fence.config?.epoch ?? 0
  if (fence.config !== undefined && message.epoch < known)
    return { kind: 'stale-config', config: fence.config }
  if (message.joined !== fence.joined || fence.joined === 0) return wrongIncarnation(fence)
  // Listing and erasing rest on the fence being up *here*: see SPEC.md, invariants 8 and 10.
  if ((message.kind === 'keys' || message.kind === 'erase') && message.epoch > known) {
    return { kind: 'behind', epoch: known }
  }
  return undefined
}

const wrongIncarnation = (fence: FenceState): AcceptorReply => ({
  kind: 'wrong-incarnation',
  incarnation: fence.incarnation,
  joined: fence.joined,
  config: fence.config,
})

/** One request about one register that `admit` let pass. */
export function stepRegister(
  fence: FenceState,
  state: RegisterState | undefined,
  message: RegisterRequest,
): AcceptorStep {
  switch (message.kind) {
    case 'peek':
      return { reply: { kind: 'peeked', ...(state ?? absent) } }
    case 'prepare': {
      const refusal = refuse(fence, state, message.ballot, true)
      if (refusal !== undefined) return { reply: refusal }
      const { accepted, value } = state ?? absent
      return {
        reply: { kind: 'promised', accepted, value },
        register: { promised: message.ballot, accepted, value },
      }
    }
    case 'accept': {
      const refusal = refuse(fence, state, message.ballot, false)
      if (refusal !== undefined) return { reply: refusal }
      if (state !== undefined && ballotsEqual(state.accepted, message.ballot))
        return { reply: { kind: 'accepted' } }
      assert(!ballotIsZero(message.ballot), 'a proposal carries a real ballot')
      return {
        reply: { kind: 'accepted' },
        register: { promised: message.ballot, accepted: message.ballot, value: message.value },
      }
    }
    case 'erase':
      return stepErase(fence, state, message.ballot)
    default:
      return unreachable(message, 'register request')
  }
}

const absent: RegisterState = { promised: ballotZero, accepted: ballotZero, value: undefined }

function refuse(
  fence: FenceState,
  state: RegisterState | undefined,
  ballot: Ballot,
  strictly: boolean,
): AcceptorReply | undefined {
  if (state === undefined) {
    return ballot.counter <= fence.erasedFloor ? { kind: 'refused', counter: fence.erasedFloor } : undefined
  }
  const order = compareBallots(ballot, state.promised)
  if (order > 0 || (order === 0 && !strictly)) return undefined
  return { kind: 'refused', counter: state.promised.counter }
}

function stepErase(fence: FenceState, state: RegisterState | undefined, ballot: Ballot): AcceptorStep {
  if (fence.config?.joint !== undefined) return { reply: { kind: 'kept' } }
  if (state === undefined) {
    return { reply: { kind: ballot.counter <= fence.erasedFloor ? 'erased' : 'kept' } }
  }
  const isThatTombstone = ballotsEqual(state.accepted, ballot) && state.value === undefined
  if (!isThatTombstone || compareBallots(state.promised, ballot) > 0) return { reply: { kind: 'kept' } }
  return {
    reply: { kind: 'erased' },
    register: 'absent',
    fence: { ...fence, erasedFloor: Math.max(fence.erasedFloor, ballot.counter) },
  }
}

/** Learns a config that is newer, and a floor that is higher. A new joining epoch is a new, empty acceptor. */
export function stepFence(fence: FenceState, message: FenceRequest): AcceptorStep {
  const known = fence.config?.epoch ?? 0
  if (fence.config !== undefined && message.config.epoch < known) {
    return { reply: { kind: 'stale-config', config: fence.config } }
  }
  const joined = Math.max(fence.joined, joinedIn(message.config, fence))
  const floorBefore = joined === fence.joined ? fence.erasedFloor : 0
  const next: FenceState = {
    ...fence,
    config: message.config.epoch > known ? message.config : fence.config,
    joined,
    erasedFloor: Math.max(floorBefore, message.erasedFloor),
  }
  const reply: AcceptorReply = { kind: 'fenced', epoch: message.config.epoch, erasedFloor: next.erasedFloor }
  const same =
    message.config.epoch === known && joined === fence.joined && next.erasedFloor === fence.erasedFloor
  return same ? { reply } : { reply, fence: next }
}

function joinedIn(config: RegisterConfig, fence: FenceState): number {
  const ids = [...config.acceptors, ...(config.joint ?? [])].filter(id => votersEqual(id, fence))
  return Math.max(0, ...ids.map(id => id.joined))
}
