/**
 * Rounds for rows that nobody asks for.
 *
 * Problem: a proposer that died has left a promise behind. The replica that gave it refuses what others have accepted
 * before, so sweeps cannot make the replicas alike. Mechanism: whoever is shown such a row proposes it once more, as it is,
 * under a later ballot.
 */

import { isQuorateError } from '../base/errors.ts'
import type { ByteString } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import type { TableView } from '../catalog/catalog.ts'
import type { NodeContext } from '../leaderless/node-context.ts'
import { pause } from '../ports/pause.ts'
import type { RowProposer } from './row-proposer.ts'

const LOOK_MS = 500
/** Rows that wait for a round; further ones are met again by the next sweep. */
const WAITING_MAX = 1_000

export class RowSettler {
  readonly #node: NodeContext
  readonly #proposer: RowProposer
  readonly #waiting = new Map<ByteString, TableView>()
  #stopped = false

  constructor(node: NodeContext, proposer: RowProposer) {
    this.#node = node
    this.#proposer = proposer
    node.rows.onPromised = (view, key) => {
      if (this.#waiting.size < WAITING_MAX) this.#waiting.set(key, view)
    }
  }

  start(): void {
    void this.#loop()
  }

  stop(): void {
    this.#stopped = true
  }

  async #loop(): Promise<void> {
    while (!this.#stopped) {
      await pause(this.#node.clock, LOOK_MS)
      for (const [key, view] of [...this.#waiting]) {
        if (this.#stopped) return
        this.#waiting.delete(key)
        const deadline = this.#node.clock.monotonicMs() + limits.requestTimeoutMs
        try {
          await this.#proposer.settle(view, key, deadline)
        } catch (error) {
          // The next sweep meets it again.
          if (!isQuorateError(error)) throw error
        }
      }
    }
  }
}
