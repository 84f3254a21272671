/**
 * Clients of the registers, straight on the nodes' coordination: reads, swaps and compare-and-sets of a few
 * registers, with retries of unknown operations through other nodes under the same operation id.
 * The history is one of a plain sequential cell; `checkers/registers.ts` judges it.
 */

import {
  type ByteString,
  bytesToString,
  type OperationId,
  randomBelow,
  randomByteString,
  randomPick,
  type SeededRandom,
  stringToBytes,
} from '@quorate/core'
import type { SimCluster } from '../world/sim-cluster.ts'

export type RegisterInput =
  | { readonly key: string; readonly kind: 'read' }
  | { readonly key: string; readonly kind: 'swap'; readonly value: string }
  | { readonly key: string; readonly kind: 'cas'; readonly expected: string; readonly value: string }

export interface RegisterOutput {
  readonly ok: boolean
  /** What the operation found, where it says so. */
  readonly found: string | undefined
}

export interface RegisterOperation {
  readonly input: RegisterInput
  output: RegisterOutput | undefined
  readonly call: number
  return: number | undefined
}

const REGISTERS = 3
const TIMEOUT_MS = 3_000

export class RegisterClient {
  readonly #cluster: SimCluster
  readonly #random: SeededRandom
  readonly #name: string
  readonly #history: RegisterOperation[]
  #values = 0
  /** What this client last saw, to make compare-and-sets that can succeed. */
  readonly #known = new Map<string, string>()

  constructor(cluster: SimCluster, random: SeededRandom, name: string, history: RegisterOperation[]) {
    this.#cluster = cluster
    this.#random = random
    this.#name = name
    this.#history = history
  }

  async step(): Promise<void> {
    const key = `sim/reg${randomBelow(this.#random, REGISTERS)}`
    const choice = randomBelow(this.#random, 3)
    if (choice === 0) return this.#read(key)
    const value = `${this.#name}.${++this.#values}`
    const input: RegisterInput =
      choice === 1
        ? { key, kind: 'swap', value }
        : { key, kind: 'cas', expected: this.#known.get(key) ?? '', value }
    await this.#change(input)
  }

  #begin(input: RegisterInput): RegisterOperation {
    const operation: RegisterOperation = {
      input,
      output: undefined,
      call: this.#cluster.simulation.nowMs,
      return: undefined,
    }
    this.#history.push(operation)
    return operation
  }

  #end(operation: RegisterOperation, output: RegisterOutput): void {
    operation.output = output
    operation.return = this.#cluster.simulation.nowMs
    const { simulation } = this.#cluster
    if (simulation.isTold) {
      const { key, kind } = operation.input
      const arguments_ = kind === 'read' ? '' : ` ${JSON.stringify(operation.input)}`
      simulation.tell(
        `${this.#name} ${kind} ${key}${arguments_} since ${operation.call.toFixed(1)} -> ${JSON.stringify(output)}`,
      )
    }
  }

  #registers() {
    const node = randomPick(this.#random, this.#cluster.machines).node
    if (node === undefined) return undefined
    try {
      return node.coordination.registers
    } catch {
      // Not formed, from that node's point of view: nobody was asked.
      return undefined
    }
  }

  async #read(key: string): Promise<void> {
    const registers = this.#registers()
    if (registers === undefined) return
    const operation = this.#begin({ key, kind: 'read' })
    try {
      const { value } = await registers.read(key as ByteString, { timeoutMs: TIMEOUT_MS })
      const found = textOf(value)
      this.#known.set(key, found)
      this.#end(operation, { ok: true, found })
    } catch {
      // A read that failed constrains nothing: it stays open in the history.
    }
  }

  async #change(input: Exclude<RegisterInput, { kind: 'read' }>): Promise<void> {
    const id = randomByteString(this.#random, 16) as OperationId
    let operation: RegisterOperation | undefined
    for (let attempt = 0; attempt < 3; attempt++) {
      const registers = this.#registers()
      if (registers === undefined) continue
      operation ??= this.#begin(input)
      let found = undefined as string | undefined
      const outcome = await registers.change(
        input.key as ByteString,
        current => {
          found = textOf(current)
          if (input.kind === 'cas' && found !== input.expected) return { reject: 'expected' }
          return { value: stringToBytes(input.value) }
        },
        id,
        { timeoutMs: TIMEOUT_MS },
      )
      if (outcome.kind === 'committed') {
        const repeated = outcome.repeated
        this.#known.set(input.key, input.value)
        return this.#end(operation, { ok: true, found: repeated ? undefined : found })
      }
      if (outcome.kind === 'rejected') {
        const current = textOf(outcome.current.value)
        this.#known.set(input.key, current)
        return this.#end(operation, { ok: false, found: current })
      }
    }
  }
}

function textOf(value: Uint8Array | undefined): string {
  return value === undefined ? '' : bytesToString(value)
}
