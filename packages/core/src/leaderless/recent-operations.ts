/**
 * Operation ids this node has seen go by lately, superseded ones included. A retry that arrives after
 * another write has replaced the first try is answered from here instead of being applied again as a
 * phantom sibling. Two generations, swapped when the young one is full: bounded, no timers.
 */

import type { OperationId } from '../base/ids.ts'

export class RecentOperations {
  readonly #perGeneration: number
  #young = new Set<OperationId>()
  #old = new Set<OperationId>()

  constructor(perGeneration = 16_384) {
    this.#perGeneration = perGeneration
  }

  add(operation: OperationId): void {
    this.#young.add(operation)
    if (this.#young.size >= this.#perGeneration) {
      this.#old = this.#young
      this.#young = new Set()
    }
  }

  has(operation: OperationId): boolean {
    return this.#young.has(operation) || this.#old.has(operation)
  }
}
