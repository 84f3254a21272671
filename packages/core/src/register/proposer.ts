/**
 * The proposer: linearizable changes to registers over a majority of acceptors.
 *
 * Problem: many nodes change one value at once, any of them may stop anywhere, and every caller must be
 * told truthfully whether its change happened. Mechanism: prepare a ballot on a quorum, take the value
 * with the highest accepted ballot, let a pure decision look at it, accept the outcome on a quorum;
 * refused: pass the ballot heard of and try again after a jittered, doubling pause.
 * Invariants: no ballot is used for two attempts; one attempt keeps to one config in both phases;
 * an accept carries a ballot counter above the counter of the value it replaces; `not-applied` is said
 * only if no accept of that change was ever sent, or after a later ballot was accepted without it.
 * Reference: Rystsov, "CASPaxos: Replicated State Machines without logs" (2018).
 * Departures: SPEC.md.
 */

import { assert } from '../base/assert.ts'
import type { ByteString, Incarnation, NodeId } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import { randomUnit } from '../base/prng.ts'
import type { Clock } from '../ports/clock.ts'
import type { Random } from '../ports/random.ts'
import { type Ballot, BallotSource, ballotMax, ballotsEqual, ballotZero, compareBallots } from './ballot.ts'
import { type AcceptorId, everyAcceptorOf, quorumsOf, type RegisterConfig } from './register-config.ts'
import { type AcceptorClient, type AcceptorReply, addressed } from './register-messages.ts'
import { type RoundResult, runRound } from './round.ts'

export interface ProposerOptions {
  readonly node: NodeId
  readonly incarnation: Incarnation
  /** Starts of the process on this store (`beginProposerLife`). */
  readonly life: number
  readonly clock: Clock
  readonly random: Random
  readonly client: AcceptorClient
  readonly config: RegisterConfig
  /** Wait for one round's answers. Default `limits.replicaTimeoutMs`. */
  readonly roundTimeoutMs?: number
  /** Pause after the first refusal; doubles up to `backoffMaxMs`, each time jittered to 50–100 %. */
  readonly backoffMs?: number
  readonly backoffMaxMs?: number
  /** Told of every newer config, once. */
  readonly onConfig?: (config: RegisterConfig) => void
}

/** What to do with the value found. `write` proposes another one, `keep` proposes the same again. */
export type Decision =
  | { readonly kind: 'write'; readonly bytes: Uint8Array | undefined }
  /** `settled`: a value that a quorum holds already need not be accepted again. */
  | { readonly kind: 'keep'; readonly settled: boolean }

export interface Proposal {
  readonly key: ByteString
  readonly deadlineMs: number
  /** Pure; may run once per attempt, with what that attempt found. */
  decide(found: Uint8Array | undefined, ballot: Ballot): Decision
  /** A `write` must be acknowledged by all acceptors, outside of any change of acceptors. */
  readonly everyAcceptor?: boolean
  /** Ask without promising first: a quorum that agrees answers in one round with nothing written. */
  readonly peekFirst?: boolean
  done(result: ProposalResult): void
}

export type ProposalResult =
  | {
      readonly kind: 'done'
      /** Outcome of the last `decide`: what a quorum now holds. */
      readonly bytes: Uint8Array | undefined
      readonly ballot: Ballot
      readonly config: RegisterConfig
      readonly attempts: number
    }
  /** `mayHappen`: an accept that carried a change was sent and its fate is not known. */
  | {
      readonly kind: 'failed'
      readonly mayHappen: boolean
      readonly reason: string
      readonly attempts: number
    }

export class Proposer {
  readonly node: NodeId
  readonly clock: Clock
  readonly random: Random
  readonly client: AcceptorClient
  readonly #ballots: BallotSource
  readonly #roundTimeoutMs: number
  readonly #backoffMs: number
  readonly #backoffMaxMs: number
  readonly #onConfig: ((config: RegisterConfig) => void) | undefined
  #config: RegisterConfig

  constructor(options: ProposerOptions) {
    this.node = options.node
    this.clock = options.clock
    this.random = options.random
    this.client = options.client
    this.#ballots = new BallotSource(options.node, options.incarnation, options.life)
    this.#roundTimeoutMs = options.roundTimeoutMs ?? limits.replicaTimeoutMs
    this.#backoffMs = options.backoffMs ?? 10
    this.#backoffMaxMs = options.backoffMaxMs ?? 500
    this.#onConfig = options.onConfig
    this.#config = options.config
  }

  get config(): RegisterConfig {
    return this.#config
  }

  /** Attempts started from now on work under this config if it is newer. */
  learn(config: RegisterConfig): void {
    if (config.epoch <= this.#config.epoch) return
    this.#config = config
    this.#onConfig?.(config)
  }

  propose(proposal: Proposal): void {
    const attempt = new Attempt(this, proposal)
    if (proposal.peekFirst === true) attempt.peek()
    else attempt.prepare()
  }

  nextBallot(): Ballot {
    return this.#ballots.next()
  }

  passed(counter: number): void {
    this.#ballots.passed(counter)
  }

  roundDeadline(deadlineMs: number): number {
    return Math.min(deadlineMs, this.clock.monotonicMs() + this.#roundTimeoutMs)
  }

  backoff(failures: number): number {
    const ceiling = Math.min(this.#backoffMaxMs, this.#backoffMs * 2 ** Math.min(failures, 16))
    return ceiling * (0.5 + randomUnit(this.random) / 2)
  }

  /** Whatever an acceptor answers may say that this proposer lags, or that the acceptor does. */
  heard(config: RegisterConfig, from: AcceptorId, reply: AcceptorReply): void {
    if (reply.kind === 'refused') this.#ballots.passed(reply.counter)
    else if (reply.kind === 'stale-config') this.learn(reply.config)
    else if (reply.kind === 'wrong-incarnation' && reply.config !== undefined) this.learn(reply.config)
    else if (reply.kind === 'promised' || reply.kind === 'peeked')
      this.#ballots.passed(reply.accepted.counter)
    const lagging =
      reply.kind === 'behind' ||
      (reply.kind === 'wrong-incarnation' &&
        reply.incarnation === from.incarnation &&
        reply.joined < from.joined)
    if (!lagging) return
    // It missed the fence of this config. Teaching it is always safe: fences only grow. No floor goes
    // with it: a majority already has the floor (SPEC.md, invariant 9).
    const fence = { kind: 'fence', incarnation: from.incarnation, config, erasedFloor: 0 } as const
    this.client.request(from.node, fence, this.roundDeadline(Number.MAX_SAFE_INTEGER), () => {})
  }
}

/** One proposal under way: attempt after attempt until done or out of time. */
class Attempt {
  readonly #proposer: Proposer
  readonly #proposal: Proposal
  #attempts = 0
  #failures = 0
  #changeSent = false

  constructor(proposer: Proposer, proposal: Proposal) {
    this.#proposer = proposer
    this.#proposal = proposal
  }

  peek(): void {
    const { config } = this.#proposer
    const { key } = this.#proposal
    this.#round(
      config,
      quorumsOf(config),
      to => ({ kind: 'peek', ...addressed(to, config.epoch), key }),
      'peeked',
      result => {
        const peeked = repliesOf(result, 'peeked')
        const first = peeked[0]
        // With a promise above the accepted ballot a change may be under way: the slow path settles it.
        const agree =
          result.state === 'reached' &&
          first !== undefined &&
          peeked.every(r => ballotsEqual(r.accepted, first.accepted) && ballotsEqual(r.promised, r.accepted))
        if (!agree) return this.prepare()
        const decision = this.#proposal.decide(first.value, first.accepted)
        if (decision.kind !== 'keep' || !decision.settled) return this.prepare()
        this.#finish(config, first.value, first.accepted)
      },
    )
  }

  prepare(): void {
    const proposer = this.#proposer
    if (proposer.clock.monotonicMs() >= this.#proposal.deadlineMs) {
      this.#fail('deadline')
      return
    }
    this.#attempts++
    const { config } = proposer
    const ballot = proposer.nextBallot()
    const { key } = this.#proposal
    this.#round(
      config,
      quorumsOf(config),
      to => ({ kind: 'prepare', ...addressed(to, config.epoch), key, ballot }),
      'promised',
      result => (result.state === 'reached' ? this.#decide(config, ballot, result) : this.#again(result)),
    )
  }

  #decide(config: RegisterConfig, ballot: Ballot, result: RoundResult): void {
    const promises = repliesOf(result, 'promised')
    let found = ballotZero
    let value: Uint8Array | undefined
    for (const promise of promises) {
      assert(compareBallots(promise.accepted, ballot) < 0, 'an acceptor promised below what it accepted')
      if (compareBallots(promise.accepted, found) > 0) value = promise.value
      found = ballotMax(found, promise.accepted)
    }
    // Versions are ballot counters: one that does not pass the found one's counter cannot carry a change.
    if (found.counter >= ballot.counter) {
      this.prepare()
      return
    }
    const decision = this.#proposal.decide(value, ballot)
    if (decision.kind === 'write') {
      this.#accept(config, ballot, decision.bytes, true)
      return
    }
    const settled = promises.every(promise => ballotsEqual(promise.accepted, found))
    if (decision.settled && settled && !this.#changeSent) {
      this.#finish(config, value, found)
      return
    }
    this.#accept(config, ballot, value, false)
  }

  #accept(config: RegisterConfig, ballot: Ballot, value: Uint8Array | undefined, isChange: boolean): void {
    const every = isChange && this.#proposal.everyAcceptor === true
    if (every && config.joint !== undefined) {
      this.#fail('a change of acceptors is under way')
      return
    }
    if (isChange) this.#changeSent = true
    const { key } = this.#proposal
    this.#round(
      config,
      every ? everyAcceptorOf(config) : quorumsOf(config),
      to => ({ kind: 'accept', ...addressed(to, config.epoch), key, ballot, value }),
      'accepted',
      result => (result.state === 'reached' ? this.#finish(config, value, ballot) : this.#again(result)),
    )
  }

  #round(
    config: RegisterConfig,
    quorums: ReturnType<typeof quorumsOf>,
    message: Parameters<typeof runRound>[0]['message'],
    wanted: AcceptorReply['kind'],
    done: (result: RoundResult) => void,
  ): void {
    const proposer = this.#proposer
    runRound({
      client: proposer.client,
      config,
      quorums,
      deadlineMs: proposer.roundDeadline(this.#proposal.deadlineMs),
      message,
      acknowledges: reply => reply.kind === wanted,
      heard: (from, reply) => proposer.heard(config, from, reply),
      done,
    })
  }

  #again(result: RoundResult): void {
    // A newer config is known now: nothing to wait for.
    if (result.state === 'stale') {
      this.prepare()
      return
    }
    const { clock } = this.#proposer
    const pause = this.#proposer.backoff(this.#failures++)
    if (clock.monotonicMs() + pause >= this.#proposal.deadlineMs) {
      this.#fail(result.describe())
      return
    }
    clock.setTimer(pause, () => this.prepare())
  }

  #finish(config: RegisterConfig, bytes: Uint8Array | undefined, ballot: Ballot): void {
    this.#proposal.done({ kind: 'done', bytes, ballot, config, attempts: this.#attempts })
  }

  #fail(reason: string): void {
    this.#proposal.done({ kind: 'failed', mayHappen: this.#changeSent, reason, attempts: this.#attempts })
  }
}

function repliesOf<Kind extends AcceptorReply['kind']>(
  result: RoundResult,
  kind: Kind,
): Extract<AcceptorReply, { kind: Kind }>[] {
  const out: Extract<AcceptorReply, { kind: Kind }>[] = []
  for (const reply of result.replies.values()) {
    if (reply?.kind === kind) out.push(reply as Extract<AcceptorReply, { kind: Kind }>)
  }
  return out
}
