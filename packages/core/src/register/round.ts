/**
 * One round: the same question to every acceptor of a config, until enough have answered.
 * Ends once, as `reached`, `impossible` (no quorum can come any more) or `stale` (someone knows a newer
 * config). Answers after the end are still looked at for ballots to pass.
 */

import { QuorumTally, type ReplicaSet } from '../quorum/quorum-tally.ts'
import { type AcceptorId, acceptorName, allAcceptors, type RegisterConfig } from './register-config.ts'
import type { AcceptorClient, AcceptorReply, AcceptorRequest } from './register-messages.ts'

export interface RoundOptions {
  readonly client: AcceptorClient
  readonly config: RegisterConfig
  readonly quorums: readonly ReplicaSet[]
  readonly deadlineMs: number
  message(to: AcceptorId): AcceptorRequest
  acknowledges(reply: AcceptorReply): boolean
  /** Every answer, also late ones. */
  heard(from: AcceptorId, reply: AcceptorReply): void
  done(result: RoundResult): void
}

export interface RoundResult {
  readonly state: 'reached' | 'impossible' | 'stale'
  /** Answers so far by acceptor name; undefined: no answer within the deadline. */
  readonly replies: ReadonlyMap<string, AcceptorReply | undefined>
  describe(): string
}

export function runRound(options: RoundOptions): void {
  const tally = new QuorumTally(options.quorums)
  const replies = new Map<string, AcceptorReply | undefined>()
  let ended = false
  const end = (state: RoundResult['state']): void => {
    ended = true
    options.done({ state, replies, describe: () => tally.describe() })
  }
  const answered = (from: AcceptorId, reply: AcceptorReply | undefined): void => {
    if (reply !== undefined) options.heard(from, reply)
    if (ended) return
    const name = acceptorName(from)
    replies.set(name, reply)
    const newer =
      reply?.kind === 'stale-config' || reply?.kind === 'wrong-incarnation' ? reply.config : undefined
    if (newer !== undefined && newer.epoch > options.config.epoch) {
      end('stale')
      return
    }
    if (reply !== undefined && options.acknowledges(reply)) tally.ack(name)
    else tally.fail(name)
    const state = tally.state()
    if (state !== 'pending') end(state)
  }
  for (const to of allAcceptors(options.config)) {
    options.client.request(to.node, options.message(to), options.deadlineMs, reply => answered(to, reply))
  }
}
