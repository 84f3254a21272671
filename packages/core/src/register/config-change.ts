/**
 * Changing the set of acceptors: growth, shrinkage, replacement of a wiped one.
 *
 * Problem: quorums of the old and the new set need not meet, and a register nobody touches during the
 * change stays where only the old set finds it. Mechanism, each step idempotent and resumable by anyone:
 *   1. CAS the config register to the joint config, under the old one;
 *   2. fence: a majority of the old set durably knows the joint epoch: the old epoch has no quorum left;
 *   3. rescan: list the keys on a fenced majority of the old set, give a majority of the new set the
 *      highest erased floor heard, and make the identity transition on every key under the joint config;
 *   4. CAS the config register to the final config, under the joint one;
 *   5. fence the new set (and, as far as they answer, the old ones).
 * Invariants: the final config is proposed only after 2 and 3 are complete; a step under way for a config
 * that is no longer current fails its CAS. Reference: Rystsov (2018), §2.3; SPEC.md.
 */

import { assert } from '../base/assert.ts'
import type { ByteString, OperationId } from '../base/ids.ts'
import { randomByteString } from '../base/prng.ts'
import type { ReplicaSet } from '../quorum/quorum-tally.ts'
import { changeRegister, readRegister } from './changes.ts'
import type { Proposer } from './proposer.ts'
import {
  acceptorName,
  configKey,
  decodeConfig,
  encodeConfig,
  finalConfig,
  jointConfig,
  majorityOfAcceptors,
  quorumsOf,
  type RegisterConfig,
  sameVoters,
  type Voter,
} from './register-config.ts'
import { addressed } from './register-messages.ts'
import { runRound } from './round.ts'

export type ConfigChangeOutcome =
  | { readonly kind: 'done'; readonly config: RegisterConfig }
  /** Another set is in force: someone else's change came first and is complete now. */
  | { readonly kind: 'superseded'; readonly config: RegisterConfig }
  /** Stopped half-way; `resume` (here or anywhere) goes on from where it is. */
  | { readonly kind: 'stopped'; readonly step: string; readonly reason: string }

class StepFailed extends Error {
  readonly step: string
  constructor(step: string, reason: string) {
    super(reason)
    this.step = step
  }
}

const KEYS_PER_PAGE = 256

export class ConfigChange {
  readonly proposer: Proposer
  readonly #deadlineMs: number

  /** `deadlineMs`: monotonic time after which no step starts. */
  constructor(proposer: Proposer, deadlineMs: number) {
    this.proposer = proposer
    this.#deadlineMs = deadlineMs
  }

  /** Makes `target` the acceptors. A change found under way is completed first. */
  async run(target: readonly Voter[]): Promise<ConfigChangeOutcome> {
    return this.#stopping(async () => {
      const found = await this.#complete()
      if (sameVoters(found, target)) return { kind: 'done', config: found }
      await this.#compareAndSet(found, jointConfig(found, target), 'propose joint config')
      const config = await this.#complete()
      return { kind: sameVoters(config, target) ? 'done' : 'superseded', config }
    })
  }

  /** Completes a change that is under way, if any. */
  async resume(): Promise<ConfigChangeOutcome> {
    return this.#stopping(async () => ({ kind: 'done', config: await this.#complete() }))
  }

  async #stopping(flow: () => Promise<ConfigChangeOutcome>): Promise<ConfigChangeOutcome> {
    try {
      return await flow()
    } catch (error) {
      if (error instanceof StepFailed) return { kind: 'stopped', step: error.step, reason: error.message }
      throw error
    }
  }

  async #complete(): Promise<RegisterConfig> {
    for (;;) {
      const current = await this.currentConfig()
      this.proposer.learn(current)
      if (current.joint === undefined) {
        await this.fence(current, 0, majorityOfAcceptors(current.acceptors))
        return current
      }
      await this.rescan(current, current.joint)
      await this.#compareAndSet(current, finalConfig(current), 'propose final config')
    }
  }

  /** The config register; before its first change that is the genesis config. */
  async currentConfig(): Promise<RegisterConfig> {
    const outcome = await new Promise<Parameters<Parameters<typeof readRegister>[3]>[0]>(resolve =>
      readRegister(this.proposer, configKey, this.#deadlineMs, resolve),
    )
    if (outcome.kind === 'failed') throw new StepFailed('read config', outcome.reason)
    if (outcome.current.value !== undefined) return decodeConfig(outcome.current.value)
    assert(this.proposer.config.epoch === 1, 'the config register is empty after a change of acceptors')
    return this.proposer.config
  }

  async #compareAndSet(expected: RegisterConfig, next: RegisterConfig, step: string): Promise<void> {
    const before = encodeConfig(expected)
    const genesis = expected.epoch === 1
    const outcome = await new Promise<Parameters<Parameters<typeof changeRegister>[2]>[0]>(resolve =>
      changeRegister(
        this.proposer,
        {
          key: configKey,
          operationId: randomByteString(this.proposer.random, 16) as OperationId,
          deadlineMs: this.#deadlineMs,
          change: current => {
            const matches =
              current === undefined ? genesis : !genesis && decodeConfig(current).epoch === expected.epoch
            return matches ? { value: encodeConfig(next) } : { reject: 'another config is in force' }
          },
        },
        resolve,
      ),
    )
    assert(decodeConfig(before).epoch + 1 === next.epoch, 'configs follow one another')
    // Rejected: someone else went on from `expected`; the caller reads the register again.
    if (outcome.kind === 'unknown' || outcome.kind === 'not-applied')
      throw new StepFailed(step, outcome.reason)
  }

  /** Teaches `config` and `erasedFloor` to acceptors until `quorums` know both durably. Returns who does. */
  async fence(
    config: RegisterConfig,
    erasedFloor: number,
    quorums: readonly ReplicaSet[],
  ): Promise<Set<string>> {
    const fenced = new Set<string>()
    await this.#round(
      'fence',
      config,
      quorums,
      to => ({ kind: 'fence', incarnation: to.incarnation, config, erasedFloor }),
      (name, reply) => {
        const ok = reply?.kind === 'fenced' && reply.erasedFloor >= erasedFloor
        if (ok) fenced.add(name)
        return ok
      },
    )
    return fenced
  }

  async rescan(joint: RegisterConfig, old: NonNullable<RegisterConfig['joint']>): Promise<void> {
    const fenced = await this.fence(joint, 0, quorumsOf(joint))
    const { keys, erasedFloor } = await this.#keysOf(
      joint,
      old.filter(id => fenced.has(acceptorName(id))),
      old,
    )
    await this.fence(joint, erasedFloor, majorityOfAcceptors(joint.acceptors))
    for (const key of keys) await this.#identity(key)
  }

  /** Union over the fenced members of the old set, all of which must answer in full: they are a majority. */
  async #keysOf(
    joint: RegisterConfig,
    fenced: NonNullable<RegisterConfig['joint']>,
    old: NonNullable<RegisterConfig['joint']>,
  ): Promise<{ keys: ByteString[]; erasedFloor: number }> {
    const [needed] = majorityOfAcceptors(old)
    assert(fenced.length >= needed!.needed, 'keys are listed on a fenced majority of the old set')
    const keys = new Set<ByteString>()
    let erasedFloor = 0
    for (const id of fenced) {
      let after: ByteString | undefined
      for (let done = false; !done; ) {
        const only = { epoch: joint.epoch, acceptors: [id], joint: undefined }
        const from = after
        await this.#round(
          'list keys',
          only,
          majorityOfAcceptors([id]),
          to => ({ kind: 'keys', ...addressed(to, joint.epoch), after: from, limit: KEYS_PER_PAGE }),
          (_, reply) => {
            if (reply?.kind !== 'keys') return false
            for (const key of reply.keys) keys.add(key)
            after = reply.keys.at(-1) ?? after
            done = reply.done
            erasedFloor = Math.max(erasedFloor, reply.erasedFloor)
            return true
          },
        )
      }
    }
    return { keys: [...keys].sort(), erasedFloor }
  }

  async #identity(key: ByteString): Promise<void> {
    const failed = await new Promise<string | undefined>(resolve =>
      this.proposer.propose({
        key,
        deadlineMs: this.#deadlineMs,
        decide: () => ({ kind: 'keep', settled: true }),
        done: result => resolve(result.kind === 'failed' ? result.reason : undefined),
      }),
    )
    if (failed !== undefined) throw new StepFailed('rescan', failed)
  }

  /** A round repeated, with back-off, until it succeeds, the deadline passes or the config is outdated. */
  async #round(
    step: string,
    config: RegisterConfig,
    quorums: readonly ReplicaSet[],
    message: Parameters<typeof runRound>[0]['message'],
    counts: (
      name: string,
      reply: Parameters<Parameters<typeof runRound>[0]['acknowledges']>[0] | undefined,
    ) => boolean,
  ): Promise<void> {
    const { proposer } = this
    const { clock } = proposer
    for (let failures = 0; ; failures++) {
      const result = await new Promise<Parameters<Parameters<typeof runRound>[0]['done']>[0]>(resolve =>
        runRound({
          client: proposer.client,
          config,
          quorums,
          deadlineMs: proposer.roundDeadline(this.#deadlineMs),
          message,
          acknowledges: reply => reply.kind === 'fenced' || reply.kind === 'keys',
          heard: (_, reply) => {
            const newer =
              reply.kind === 'stale-config' || reply.kind === 'wrong-incarnation' ? reply.config : undefined
            if (newer !== undefined) proposer.learn(newer)
          },
          done: resolve,
        }),
      )
      let complete = result.state === 'reached'
      for (const [name, reply] of result.replies) {
        const ok = counts(name, reply)
        if (!ok && (reply?.kind === 'fenced' || reply?.kind === 'keys')) complete = false
      }
      if (complete) return
      if (result.state === 'stale') throw new StepFailed(step, 'a newer config is in force')
      const pause = proposer.backoff(failures)
      if (clock.monotonicMs() + pause >= this.#deadlineMs) throw new StepFailed(step, result.describe())
      await new Promise<void>(resolve => clock.setTimer(pause, resolve))
    }
  }
}
