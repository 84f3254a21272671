/**
 * Operations this node has seen go by lately, superseded ones included: of which row each was. A retry that
 * arrives after another write has replaced the first try is answered from here instead of being applied again
 * as a phantom sibling. An id that is used for another row names another operation. Two generations, swapped
 * when the young one is full: bounded, no timers.
 */

import type { ByteString, OperationId } from '../base/ids.ts'

export class RecentOperations {
  readonly #perGeneration: number
  #young = new Map<OperationId, ByteString>()
  #old = new Map<OperationId, ByteString>()

  constructor(perGeneration = 16_384) {
    this.#perGeneration = perGeneration
  }

  add(operation: OperationId, row: ByteString): void {
    this.#young.set(operation, row)
    if (this.#young.size >= this.#perGeneration) {
      this.#old = this.#young
      this.#young = new Map()
    }
  }

  has(operation: OperationId, row: ByteString): boolean {
    return this.#young.get(operation) === row || this.#old.get(operation) === row
  }
}
