import { describe, expect, it } from 'vitest'
import { checkLinearizability } from '../../../sim/src/checkers/linearizability.ts'
import type { ByteString } from '../base/ids.ts'
import {
  decodeRegisterState,
  encodeRegisterState,
  registerRecordKey,
  registersPrefix,
} from './acceptor-records.ts'
import { ballotsEqual, ballotZero } from './ballot.ts'
import { ConfigChange } from './config-change.ts'
import { quorumsOf, type RegisterConfig } from './register-config.ts'
import type { AcceptorClient, AcceptorReply } from './register-messages.ts'
import { type RunOptions, type RunResult, registerModel, runRegisters } from './testing/register-run.ts'
import type { Mutant } from './testing/register-world.ts'

declare const setImmediate: (run: () => void) => void
const settle = () => new Promise<void>(resolve => setImmediate(resolve))

async function verdict(options: Omit<RunOptions, 'settle'>): Promise<{ run: RunResult; verdict: string }> {
  const run = await runRegisters({ ...options, settle })
  const checked = checkLinearizability(registerModel, run.history, input => input.key, {
    visitedMax: 200_000,
  })
  return { run, verdict: checked.verdict === 'violation' ? `violation on ${checked.key}` : checked.verdict }
}

async function allSeeds(
  count: number,
  options: Omit<RunOptions, 'settle' | 'seed'>,
): Promise<Map<string, number>> {
  const totals = new Map<string, number>([
    ['operations', 0],
    ['undecided', 0],
  ])
  const add = (name: string, n: number) => totals.set(name, (totals.get(name) ?? 0) + n)
  for (let seed = 1; seed <= count; seed++) {
    const { run, verdict: found } = await verdict({ ...options, seed })
    expect(run.problems, `seed ${seed}`).toEqual([])
    expect(found, `seed ${seed}`).not.toMatch('violation')
    if (found === 'undecided') add('undecided', 1)
    add('operations', run.history.length)
    for (const [name, n] of Object.entries(run.counts)) add(name, n)
  }
  return totals
}

/** First seed on which the checker notices. */
async function caughtAfter(
  seedsMax: number,
  options: Omit<RunOptions, 'settle' | 'seed'>,
): Promise<number | undefined> {
  for (let seed = 1; seed <= seedsMax; seed++) {
    try {
      if ((await verdict({ ...options, seed })).verdict.startsWith('violation')) {
        const { mutant: _, newChange: __, ...sound } = options
        // A catch counts only if the sound system passes on the same seed.
        expect((await verdict({ ...sound, seed })).verdict, `seed ${seed} without the mutant`).toBe(
          'linearizable',
        )
        return seed
      }
    } catch (error) {
      // An assertion that stops a node is a catch as well, but not the one this test is about.
      if (!(error instanceof Error) || error.name !== 'AssertionError') throw error
    }
  }
  return undefined
}

const forAllRegisters = (
  disk: Map<ByteString, Uint8Array>,
  change: (state: ReturnType<typeof decodeRegisterState>) => ReturnType<typeof decodeRegisterState>,
): void => {
  for (const [key, bytes] of disk) {
    if (key.startsWith(registersPrefix))
      disk.set(key, encodeRegisterState(change(decodeRegisterState(bytes))))
  }
}

describe('registers under faults are linearizable', () => {
  it('with crashes, loss, doubling and reordering', async () => {
    const totals = await allSeeds(120, {})
    for (const name of ['lost', 'doubled', 'straggled', 'crashes', 'unknown', 'retried']) {
      expect(totals.get(name), name).toBeGreaterThan(50)
    }
    expect(totals.get('undecided')).toBe(0)
  })

  it('while acceptors grow, shrink and are replaced after losing their disk', async () => {
    const totals = await allSeeds(120, { changes: true, wipes: true })
    expect(totals.get('changes')).toBeGreaterThan(300)
    expect(totals.get('wipes')).toBeGreaterThan(50)
    expect(totals.get('undecided')).toBe(0)
  })

  it('with concurrent deletes that are collected, during changes of acceptors too', async () => {
    const still = await allSeeds(80, { deletes: true })
    const moving = await allSeeds(60, { deletes: true, changes: true })
    expect(still.get('collected')).toBeGreaterThan(50)
    expect(moving.get('collected')).toBeGreaterThan(10)
  })

  it('and the same seed gives the same history', async () => {
    const options = { seed: 5, changes: true, wipes: true, settle }
    const [a, b] = [await runRegisters(options), await runRegisters(options)]
    expect(b).toEqual(a)
  })
})

describe('negative controls: what is broken is caught', () => {
  it('an acceptor that forgets its promise at a crash', async () => {
    const mutant: Mutant = {
      damage: disk => forAllRegisters(disk, state => ({ ...state, promised: state.accepted })),
    }
    const seed = await caughtAfter(300, { mutant })
    expect(seed).toBeDefined()
  })

  it('an acceptor that forgets what it accepted', async () => {
    const mutant: Mutant = {
      damage: disk => forAllRegisters(disk, state => ({ ...state, accepted: ballotZero, value: undefined })),
    }
    const seed = await caughtAfter(50, { mutant })
    expect(seed).toBeDefined()
  })

  it('a change of acceptors without rescan', async () => {
    class WithoutRescan extends ConfigChange {
      override async rescan(joint: RegisterConfig): Promise<void> {
        await this.fence(joint, 0, quorumsOf(joint))
      }
    }
    const newChange: RunOptions['newChange'] = (proposer, deadlineMs) =>
      new WithoutRescan(proposer, deadlineMs)
    const seed = await caughtAfter(50, { changes: true, newChange })
    expect(seed).toBeDefined()
  })

  it('an acceptor that does not fence proposers of an old config', async () => {
    const handle: Mutant['handle'] = (node, message, reply) => {
      const known = node.host.config?.epoch ?? 0
      if (message.kind === 'fence' || message.epoch >= known) return false
      node.host.handle({ ...message, epoch: known }, reply)
      return true
    }
    const seed = await caughtAfter(50, { changes: true, mutant: { handle } })
    expect(seed).toBeDefined()
  })

  it('an accept quorum of one', async () => {
    const client = (real: AcceptorClient): AcceptorClient => {
      const firsts = new Map<string, string>()
      return {
        request: (node, message, deadlineMs, onReply) => {
          if (message.kind !== 'accept') return real.request(node, message, deadlineMs, onReply)
          const round = `${message.key}/${message.ballot.counter}`
          if (!firsts.has(round)) firsts.set(round, node)
          if (firsts.get(round) === node) return real.request(node, message, deadlineMs, onReply)
          // Counted without being asked: waits for a peek as a real answer would, then says yes.
          const peek = { ...message, kind: 'peek' as const }
          real.request(node, peek, deadlineMs, reply =>
            onReply(reply?.kind === 'peeked' ? { kind: 'accepted' } : reply),
          )
        },
      }
    }
    const seed = await caughtAfter(50, { mutant: { client } })
    expect(seed).toBeDefined()
  })

  it('erasing without a floor', async () => {
    const handle: Mutant['handle'] = (node, message, reply) => {
      if (message.kind !== 'erase') return false
      const joined = node.host.config?.acceptors.find(id => id.node === node.id)?.joined ?? 0
      const key = registerRecordKey(joined, message.key)
      const bytes = node.store.get(key)
      const state = bytes === undefined ? undefined : decodeRegisterState(bytes)
      const erases =
        state !== undefined && state.value === undefined && ballotsEqual(state.accepted, message.ballot)
      const answer: AcceptorReply = { kind: erases ? 'erased' : 'kept' }
      const position = erases ? node.store.commit([{ key, value: undefined }]) : node.store.handed
      node.store.whenDurable(position, () => reply(answer))
      return true
    }
    const seed = await caughtAfter(300, { deletes: true, crashes: false, mutant: { handle } })
    expect(seed).toBeDefined()
  })
})
