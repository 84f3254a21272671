/**
 * What proposers and acceptors say to each other: plain objects of strings, numbers and bytes.
 * Encoding is the wire's business. Every request but `fence` names the acceptor it is meant for by
 * store incarnation and joining epoch, and the config epoch its sender works under.
 */

import type { ByteString, Incarnation, NodeId } from '../base/ids.ts'
import type { Ballot } from './ballot.ts'
import type { AcceptorId, RegisterConfig } from './register-config.ts'

interface Addressed {
  readonly incarnation: Incarnation
  readonly joined: number
  readonly epoch: number
}

export interface PrepareRequest extends Addressed {
  readonly kind: 'prepare'
  readonly key: ByteString
  readonly ballot: Ballot
}
/** Reads without promising anything: nothing to sync. */
export interface PeekRequest extends Addressed {
  readonly kind: 'peek'
  readonly key: ByteString
}
export interface AcceptRequest extends Addressed {
  readonly kind: 'accept'
  readonly key: ByteString
  readonly ballot: Ballot
  /** undefined is the tombstone: the only value `erase` removes. */
  readonly value: Uint8Array | undefined
}
export interface EraseRequest extends Addressed {
  readonly kind: 'erase'
  readonly key: ByteString
  readonly ballot: Ballot
}
/** Keys with an accepted value, in order, after `after`. */
export interface KeysRequest extends Addressed {
  readonly kind: 'keys'
  readonly after: ByteString | undefined
  readonly limit: number
}
/** Teaches a config and raises the erased floor; both only ever grow. */
export interface FenceRequest {
  readonly kind: 'fence'
  readonly incarnation: Incarnation
  readonly config: RegisterConfig
  readonly erasedFloor: number
}

export type AcceptorRequest =
  | PrepareRequest
  | PeekRequest
  | AcceptRequest
  | EraseRequest
  | KeysRequest
  | FenceRequest

export type AcceptorReply =
  | { readonly kind: 'promised'; readonly accepted: Ballot; readonly value: Uint8Array | undefined }
  | {
      readonly kind: 'peeked'
      readonly promised: Ballot
      readonly accepted: Ballot
      readonly value: Uint8Array | undefined
    }
  | { readonly kind: 'accepted' }
  /** Promised more, or erased more: propose above `counter`. */
  | { readonly kind: 'refused'; readonly counter: number }
  | { readonly kind: 'erased' }
  /** Not that tombstone any more, or a change of acceptors is under way: nothing was removed. */
  | { readonly kind: 'kept' }
  | {
      readonly kind: 'keys'
      readonly keys: readonly ByteString[]
      readonly done: boolean
      readonly erasedFloor: number
    }
  | { readonly kind: 'fenced'; readonly epoch: number; readonly erasedFloor: number }
  | { readonly kind: 'stale-config'; readonly config: RegisterConfig }
  /** This acceptor does not know the sender's config yet: send `fence` first. */
  | { readonly kind: 'behind'; readonly epoch: number }
  /** Not the acceptor the request is meant for: another disk, or another membership. */
  | {
      readonly kind: 'wrong-incarnation'
      readonly incarnation: Incarnation
      readonly joined: number
      /** What it knows, so that a proposer whose acceptors were all replaced finds the new ones. */
      readonly config: RegisterConfig | undefined
    }
  /** The store cannot take the write now (full). */
  | { readonly kind: 'unavailable' }

/**
 * Port to the acceptors. Contract: `onReply` runs exactly once, never from inside `request`, at the
 * latest when the monotonic clock reaches `deadlineMs` (an absolute time); undefined means no answer.
 * A request may arrive never, late or twice.
 */
export interface AcceptorClient {
  request(
    node: NodeId,
    message: AcceptorRequest,
    deadlineMs: number,
    onReply: (reply: AcceptorReply | undefined) => void,
  ): void
}

export const addressed = (to: AcceptorId, epoch: number): Addressed => ({
  incarnation: to.incarnation,
  joined: to.joined,
  epoch,
})
