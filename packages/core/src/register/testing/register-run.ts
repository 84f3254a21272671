/**
 * One seeded run: clients on every node read, swap, compare-and-set and delete a few registers while
 * nodes crash, disks are wiped, messages go astray and the set of acceptors changes; then everything
 * heals, the change under way is completed, and every register is read once more.
 * What comes out is a history for a linearizability checker, and whether healing led to progress.
 */

import { utf8 } from '../../base/bytes.ts'
import type { ByteString, OperationId } from '../../base/ids.ts'
import { randomBelow, randomChance, randomPick, randomShuffle } from '../../base/prng.ts'
import { changeRegister, readRegister } from '../changes.ts'
import { collectRegister } from '../collect.ts'
import { ConfigChange } from '../config-change.ts'
import type { Proposer } from '../proposer.ts'
import { type Mutant, noFaults, RegisterWorld, type WorldNode } from './register-world.ts'

export type RunInput =
  | { readonly key: string; readonly kind: 'read' }
  | { readonly key: string; readonly kind: 'swap'; readonly value: string }
  | { readonly key: string; readonly kind: 'cas'; readonly expected: string; readonly value: string }
  | { readonly key: string; readonly kind: 'delete' }

export interface RunOutput {
  readonly ok: boolean
  /** What the operation found; undefined when it was recognised as done before. */
  readonly found: string | undefined
}

export interface RunOperation {
  readonly input: RunInput
  readonly output: RunOutput | undefined
  readonly call: number
  readonly return: number | undefined
}

export interface RunOptions {
  readonly seed: number
  readonly mutant?: Mutant
  readonly changes?: boolean
  readonly crashes?: boolean
  readonly wipes?: boolean
  /** Seeds with this set delete and collect much, with stragglers. */
  readonly deletes?: boolean
  readonly newChange?: (proposer: Proposer, deadlineMs: number) => ConfigChange
  /** Lets promises run: the one thing virtual time cannot do by itself. */
  readonly settle: () => Promise<void>
}

export interface RunResult {
  readonly history: readonly RunOperation[]
  readonly problems: readonly string[]
  readonly counts: RegisterWorld['counts'] & {
    changes: number
    collected: number
    unknown: number
    retried: number
  }
}

const NODES = ['n1', 'n2', 'n3', 'n4', 'n5', 'n6']
/** No operation of a run lives longer; nothing is collected sooner. */
const OPERATION_MS = 400
const FAULTS_END_MS = 3_000
const HEALED_MS = 12_000

/** The sequential register; '' is absent. */
export const registerModel = {
  init: (): string => '',
  step: (state: string, input: RunInput, output: RunOutput | undefined): readonly [boolean, string] => {
    const foundRight = output?.found === undefined || output.found === state
    if (input.kind === 'read') return [foundRight, state]
    const applies = input.kind === 'swap' || (input.kind === 'cas' ? state === input.expected : state !== '')
    const after = !applies ? state : input.kind === 'delete' ? '' : input.value
    // Unknown outcome: it may also do nothing, which leaving it out of the order covers.
    if (output === undefined) return [true, after]
    return [foundRight && output.ok === applies, after]
  },
  key: (state: string): string => state,
}

export async function runRegisters(options: RunOptions): Promise<RunResult> {
  const run = new Run(options)
  return run.go()
}

class Run {
  readonly #options: RunOptions
  readonly #world: RegisterWorld
  readonly #history: RunOperation[] = []
  readonly #problems: string[] = []
  readonly #keys: string[]
  readonly #counts = { changes: 0, collected: 0, unknown: 0, retried: 0 }
  #moment = 0
  #values = 0
  #changing = 0

  constructor(options: RunOptions) {
    this.#options = options
    const voters = options.changes === true ? 3 : randomPickVoters(options.seed)
    this.#world = new RegisterWorld(options.seed, NODES, voters, options.mutant)
    this.#keys = options.deletes === true ? ['a', 'b'] : ['a', 'b', 'c', 'd']
  }

  async go(): Promise<RunResult> {
    const world = this.#world
    const { random, clock } = world
    const hard = randomChance(random, 0.5)
    world.faults = {
      loss: randomPick(random, [0, 0.02, 0.1]),
      duplicate: randomPick(random, [0, 0.05, 0.2]),
      straggle: hard ? 0.1 : 0.02,
      straggleMs: randomPick(random, [50, 300, 1500]),
    }
    for (const node of world.nodes.values()) this.#client(node)
    if (this.#options.crashes !== false) this.#chaos()
    if (this.#options.changes === true) void this.#reconfigure()
    await this.#advance(FAULTS_END_MS)
    world.faults = noFaults
    for (const node of world.nodes.values()) world.restart(node)
    await this.#advance(HEALED_MS)
    if (this.#changing > 0) this.#problems.push('a change of acceptors did not end after healing')
    let open = this.#keys.length
    for (const key of this.#keys) {
      this.#operate(randomPick(random, [...world.nodes.values()]), { key, kind: 'read' }, 5_000, ok => {
        if (ok) open--
      })
    }
    await this.#advance(clock.monotonicMs() + 6_000)
    if (open > 0) this.#problems.push('a register could not be read after healing')
    return { history: this.#history, problems: this.#problems, counts: { ...world.counts, ...this.#counts } }
  }

  async #advance(untilMs: number): Promise<void> {
    while (this.#world.clock.step(untilMs)) if (this.#changing > 0) await this.#options.settle()
  }

  /** One client: an operation, a pause, the next. */
  #client(node: WorldNode): void {
    const { random, clock } = this.#world
    const next = (): void => {
      if (clock.monotonicMs() > FAULTS_END_MS) return
      if (!node.up) {
        clock.setTimer(40, next)
        return
      }
      let waiting = true
      const proceed = (): void => {
        if (!waiting) return
        waiting = false
        clock.setTimer(randomBelow(random, 120), next)
      }
      this.#operate(node, this.#input(), OPERATION_MS, proceed)
      // The node may die under the operation: the client then goes on without an answer.
      clock.setTimer(900, proceed)
    }
    clock.setTimer(randomBelow(random, 50), next)
  }

  #input(): RunInput {
    const { random } = this.#world
    const key = randomPick(random, this.#keys)
    const roll = randomBelow(random, 100)
    if (roll < 30) return { key, kind: 'read' }
    if (this.#options.deletes === true && roll < 50) return { key, kind: 'delete' }
    if (roll < 38) return { key, kind: 'delete' }
    const value = String(++this.#values)
    if (roll < 85) return { key, kind: 'swap', value }
    const expected = String(Math.max(1, this.#values - 1 - randomBelow(random, 4)))
    return { key, kind: 'cas', expected, value }
  }

  #operate(node: WorldNode, input: RunInput, timeoutMs: number, done: (ok: boolean) => void): void {
    const { proposer } = node
    if (proposer === undefined) {
      done(false)
      return
    }
    const call = this.#moment++
    const slot = this.#history.length
    // Open until something is known: a crash leaves it so.
    this.#history.push({ input, output: undefined, call, return: undefined })
    const settled = (output: RunOutput | undefined): void => {
      this.#history[slot] = { input, output, call, return: output === undefined ? undefined : this.#moment++ }
      done(output !== undefined)
    }
    const key = input.key as ByteString
    if (input.kind === 'read') {
      readRegister(proposer, key, proposer.clock.monotonicMs() + timeoutMs, outcome => {
        settled(outcome.kind === 'value' ? { ok: true, found: text(outcome.current.value) } : undefined)
      })
      return
    }
    const operationId = String(call).padStart(16, '0') as OperationId
    this.#change(proposer, input, key, operationId, timeoutMs, 2, settled)
  }

  #change(
    proposer: Proposer,
    input: Exclude<RunInput, { kind: 'read' }>,
    key: ByteString,
    operationId: OperationId,
    timeoutMs: number,
    retries: number,
    settled: (output: RunOutput | undefined) => void,
  ): void {
    let found = ''
    const deadlineMs = proposer.clock.monotonicMs() + timeoutMs
    const change = (current: Uint8Array | undefined) => {
      found = text(current)
      if (input.kind === 'delete') return found === '' ? { reject: 'absent' } : { value: undefined }
      if (input.kind === 'cas' && found !== input.expected) return { reject: 'value' }
      return { value: utf8.encode(input.value) }
    }
    changeRegister(proposer, { key, change, operationId, deadlineMs }, outcome => {
      switch (outcome.kind) {
        case 'committed':
          if (input.kind === 'delete') this.#collectSoon(proposer, key, outcome.version)
          return settled({ ok: true, found: outcome.repeated ? undefined : found })
        case 'rejected':
          return settled({ ok: false, found })
        case 'not-applied':
        case 'unknown': {
          this.#counts.unknown++
          const others = [...this.#world.nodes.values()].flatMap(node => node.proposer ?? [])
          // While collecting is fast here, a retry may outlive its operation id (SPEC.md, gap 1).
          if (retries === 0 || this.#options.deletes === true || others.length === 0)
            return settled(undefined)
          this.#counts.retried++
          const other = randomPick(this.#world.random, others)
          this.#change(other, input, key, operationId, timeoutMs, retries - 1, settled)
        }
      }
    })
  }

  #collectSoon(proposer: Proposer, key: ByteString, version: number): void {
    // Retries must find their operation ids: only runs without retries collect before the run heals.
    if (this.#options.deletes !== true) return
    const { clock } = proposer
    clock.setTimer(OPERATION_MS + randomBelow(this.#world.random, 30), () =>
      collectRegister(proposer, key, version, clock.monotonicMs() + 300, outcome => {
        if (outcome === 'collected') this.#counts.collected++
      }),
    )
  }

  #chaos(): void {
    const { random, clock, nodes } = this.#world
    const strike = (): void => {
      if (clock.monotonicMs() > FAULTS_END_MS) return
      // Mostly one at a time; sometimes the power goes for all.
      const all = randomChance(random, 0.1)
      const victims = all ? [...nodes.values()] : [randomPick(random, [...nodes.values()])]
      for (const node of victims) {
        this.#world.crash(node)
        clock.setTimer(randomBelow(random, 250), () => this.#world.restart(node))
      }
      clock.setTimer(50 + randomBelow(random, 400), strike)
    }
    clock.setTimer(100, strike)
  }

  /** 3 → 4 → 5 → 3 → … and, on seeds that wipe, the replacement of a lost disk in between. */
  async #reconfigure(): Promise<void> {
    this.#changing++
    const { clock, random } = this.#world
    let size = 3
    let members = NODES.slice(0, 3)
    while (clock.monotonicMs() < FAULTS_END_MS) {
      if (this.#options.wipes === true && randomChance(random, 0.4)) {
        this.#world.wipe(this.#world.node(randomPick(random, members)))
      } else {
        size = size === 3 ? randomPick(random, [4, 5]) : size === 4 ? randomPick(random, [5, 3]) : 3
        members = randomShuffle(random, NODES).slice(0, size)
      }
      await this.#changeTo(members)
      await this.#sleep(randomBelow(random, 200))
    }
    this.#changing--
  }

  /** Tries from any node until it is done: the driver may crash at any step. */
  async #changeTo(members: readonly string[]): Promise<void> {
    const { clock, random } = this.#world
    while (clock.monotonicMs() < HEALED_MS - 500) {
      const drivers = [...this.#world.nodes.values()].filter(node => node.proposer !== undefined)
      const driver = drivers.length === 0 ? undefined : randomPick(random, drivers)
      if (driver?.proposer !== undefined) {
        const deadlineMs = clock.monotonicMs() + 1_500
        const change =
          this.#options.newChange?.(driver.proposer, deadlineMs) ??
          new ConfigChange(driver.proposer, deadlineMs)
        const gaveUp = this.#sleep(2_000).then(() => undefined)
        const target = members.map(id => this.#world.voter(id))
        const outcome = await Promise.race([change.run(target), gaveUp])
        if (outcome?.kind === 'done') {
          this.#counts.changes++
          return
        }
      }
      await this.#sleep(20)
    }
  }

  #sleep(ms: number): Promise<void> {
    return new Promise(resolve => this.#world.clock.setTimer(ms, resolve))
  }
}

const text = (value: Uint8Array | undefined): string => (value === undefined ? '' : utf8.decode(value))

const randomPickVoters = (seed: number): number => [3, 5, 3, 4][seed % 4]!
