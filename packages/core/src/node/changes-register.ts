/** The register of changes as this node knows it: read, watched, and changed by compare-and-set. */

import { QuorateError } from '../base/errors.ts'
import type { ByteString, OperationId } from '../base/ids.ts'
import { type ClusterChanges, decodeChanges, encodeChanges, noChanges } from '../catalog/cluster-changes.ts'
import { REGISTER_CHANGES } from '../catalog/cluster-state.ts'
import type { Coordination } from './coordination.ts'

export class ChangesRegister {
  readonly #coordination: Coordination
  #changes: ClusterChanges = noChanges
  #watched = false

  constructor(coordination: Coordination) {
    this.#coordination = coordination
  }

  /** As far as they are known here. */
  get changes(): ClusterChanges {
    return this.#changes
  }

  /** To be called now and then: watches as soon as there are registers, and reads what no gossip told. */
  async follow(): Promise<void> {
    if (!this.#coordination.hasRegisters) return
    if (!this.#watched) {
      this.#watched = true
      this.#coordination.registers.watch(REGISTER_CHANGES as ByteString, ({ value }) => this.#learn(value))
    }
    await this.refresh()
  }

  #learn(value: Uint8Array | undefined): void {
    const changes = value === undefined ? noChanges : decodeChanges(value)
    if (changes.version > this.#changes.version) this.#changes = changes
  }

  async refresh(): Promise<ClusterChanges> {
    const found = await this.#coordination.registers.read(REGISTER_CHANGES as ByteString)
    this.#learn(found.value)
    return this.#changes
  }

  /** `change` returns what to refuse with instead. */
  async change(
    change: (before: ClusterChanges) => ClusterChanges | string,
    operation: OperationId = this.#coordination.operation(),
  ): Promise<ClusterChanges> {
    const outcome = await this.#coordination.registers.change(
      REGISTER_CHANGES as ByteString,
      current => {
        const before = current === undefined ? noChanges : decodeChanges(current)
        const after = change(before)
        return typeof after === 'string'
          ? { reject: after }
          : { value: encodeChanges({ ...after, version: before.version + 1 }) }
      },
      operation,
    )
    if (outcome.kind === 'rejected') throw new QuorateError('CONFLICT', outcome.reason)
    if (outcome.kind !== 'committed') {
      throw new QuorateError(
        'UNAVAILABLE',
        `the register of changes could not be written: ${outcome.reason}`,
        {
          outcome: outcome.kind === 'unknown' ? 'unknown' : 'not-applied',
        },
      )
    }
    this.#learn(outcome.current.value)
    return this.#changes
  }
}
