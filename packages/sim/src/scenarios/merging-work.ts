/** The part of a run that works on rows which merge by themselves, and is judged by what was done to them. */

import type { QuorateClient } from '@quorate/client/pure'
import { SeededRandom } from '@quorate/core'
import type { Violation } from '../checkers/evidence.ts'
import { checkMerging } from '../checkers/merging.ts'
import { MERGING_TABLE, MergingCast, MergingClient, type MergingRow } from '../workloads/merging-clients.ts'
import type { SimCluster } from '../world/sim-cluster.ts'
import type { SwarmOptions } from './swarm-options.ts'

export type Repeat = (random: SeededRandom, everyMs: number, run: () => Promise<unknown>) => void

/** Mean time between what one client does. */
const STEP_MS = 80

export class MergingWork {
  readonly #cluster: SimCluster
  readonly #options: SwarmOptions
  readonly #cast = new MergingCast()
  readonly #clients: MergingClient[] = []
  #final: ReadonlyMap<string, MergingRow> = new Map()

  constructor(cluster: SimCluster, options: SwarmOptions) {
    this.#cluster = cluster
    this.#options = options
  }

  get operations(): number {
    return this.#cast.history.length
  }

  async create(client: QuorateClient): Promise<void> {
    const { mergingClients, mergingTable } = this.#options
    if (mergingClients > 0) await client.createTable(MERGING_TABLE, mergingTable, { timeoutMs: 10_000 })
  }

  begin(repeat: Repeat): void {
    const random = new SeededRandom(this.#options.seed ^ 0x3e46f)
    for (let i = 1; i <= this.#options.mergingClients; i++) {
      const client = new MergingClient(this.#cluster, random.fork(), `m${i}`, this.#cast)
      this.#clients.push(client)
      repeat(random.fork(), STEP_MS, () => client.step())
    }
  }

  async read(): Promise<void> {
    const [client] = this.#clients
    if (client !== undefined) this.#final = await client.final()
  }

  judge(destroyed: boolean): readonly Violation[] {
    if (this.#clients.length === 0) return []
    const { n = 3, r = 2, w = 2, sloppy = false } = this.#options.mergingTable.replication
    const overlaps = !sloppy && Number(r) + Number(w) > n
    return checkMerging({ operations: this.#cast.history, final: this.#final, destroyed, overlaps })
  }

  get coverage(): Readonly<Record<string, number>> {
    if (this.#clients.length === 0) return {}
    const { history } = this.#cast
    return {
      'merging operations': history.filter(({ outcome }) => outcome === 'ok').length,
      'merging, unknown': history.filter(({ outcome }) => outcome === 'unknown').length,
    }
  }
}
