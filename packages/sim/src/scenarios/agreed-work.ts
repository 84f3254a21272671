/** The part of a run that works on rows which are agreed on, and is judged by linearizability. */

import type { QuorateClient } from '@quorate/client/pure'
import { SeededRandom } from '@quorate/core'
import { checkAgreed } from '../checkers/agreed.ts'
import type { Violation } from '../checkers/evidence.ts'
import { AGREED_TABLE, AgreedClient, type AgreedOperation } from '../workloads/agreed-clients.ts'
import type { SimCluster } from '../world/sim-cluster.ts'
import type { Repeat } from './merging-work.ts'
import type { SwarmOptions } from './swarm-options.ts'

/** Mean time between what one client does. */
const STEP_MS = 150

export class AgreedWork {
  readonly #cluster: SimCluster
  readonly #options: SwarmOptions
  readonly #history: AgreedOperation[] = []

  constructor(cluster: SimCluster, options: SwarmOptions) {
    this.#cluster = cluster
    this.#options = options
  }

  get operations(): number {
    return this.#history.length
  }

  async create(client: QuorateClient): Promise<void> {
    const { agreedClients, agreedTable } = this.#options
    if (agreedClients > 0) await client.createTable(AGREED_TABLE, agreedTable, { timeoutMs: 10_000 })
  }

  begin(repeat: Repeat): void {
    const random = new SeededRandom(this.#options.seed ^ 0xa93ee)
    for (let i = 1; i <= this.#options.agreedClients; i++) {
      const client = new AgreedClient(this.#cluster, random.fork(), `g${i}`, this.#history)
      repeat(random.fork(), STEP_MS, () => client.step())
    }
  }

  judge(): readonly Violation[] {
    return checkAgreed(this.#history)
  }

  get coverage(): Readonly<Record<string, number>> {
    if (this.#history.length === 0) return {}
    return {
      'agreed operations': this.#history.filter(one => one.return !== undefined).length,
      'agreed, unknown': this.#history.filter(one => one.return === undefined && !one.failed).length,
    }
  }
}
