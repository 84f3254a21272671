/**
 * Whose copies count under `ack: in-sync`, and whose promises: the set as the map has it, and who may be in that of the
 * register besides, since it was asked for and not denied. News of the map that is older than the question changes
 * nothing of the latter.
 */

import type { NodeId } from '../base/ids.ts'

export class InSyncMembers {
  #registered: readonly NodeId[]
  #asked: readonly NodeId[] = []

  constructor(registered: readonly NodeId[]) {
    this.#registered = registered
  }

  /** As the map has it. */
  get registered(): readonly NodeId[] {
    return this.#registered
  }

  set registered(members: readonly NodeId[]) {
    this.#registered = members
  }

  /** Who may be in the register's set although the map does not say so. */
  get asked(): readonly NodeId[] {
    return this.#asked
  }

  set asked(members: readonly NodeId[]) {
    this.#asked = members
  }

  /** Both together. */
  get all(): readonly NodeId[] {
    return [...new Set([...this.#registered, ...this.#asked])]
  }
}
