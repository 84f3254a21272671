/**
 * State machine safety: what one replica has carried out at a position of the log, no replica ever carries out
 * otherwise there. Not so with ack none, where a leader carries out what it alone has, nor over an unclean election:
 * those are not looked at.
 *
 * Looked at while the run goes on, since what was wrong for a moment may be mended by the end of it. A position is
 * named by the epoch that wrote it, which says which entry it is: within an epoch one leader wrote.
 * References: Raft (2014), figure 3, "State Machine Safety", and figure 8, how it is lost.
 */

import { epochAt } from '@quorate/core'
import type { SimCluster } from '../world/sim-cluster.ts'

/** How far a replica has been looked at; a new life of it is a new object, and is looked at from its beginning. */
type Seen = WeakMap<object, number>

const LOOK_MS = 20

export class CarriedOut {
  readonly #cluster: SimCluster
  readonly #violate: (checker: string, message: string) => void
  /** By table and partition: the epoch that wrote each position, as first carried out, and by whom. */
  readonly #known = new Map<string, Map<number, { readonly epoch: number; readonly by: string }>>()
  readonly #seen: Seen = new WeakMap()

  constructor(cluster: SimCluster, violate: (checker: string, message: string) => void) {
    this.#cluster = cluster
    this.#violate = violate
  }

  /** Looks from time to time, until the run ends. */
  watch(): void {
    this.look()
    this.#cluster.simulation.at(LOOK_MS * 1_000, () => this.watch())
  }

  look(): void {
    for (const { node, id } of this.#cluster.machines)
      for (const { view, partition, seat } of node?.leaders.partitions.held() ?? []) {
        // Being filled, it carries out on rows that are of no one moment.
        if (!seat.replica.isWhole) continue
        const place = `${view.descriptor.name} partition ${partition.id}`
        const message = this.#differing(place, id, seat.replica)
        if (message !== undefined) this.#violate('state-machine-safety', message)
      }
  }

  /** The first position that differs; everything behind it does, too. */
  #differing(place: string, by: string, replica: Replica): string | undefined {
    const { log, carriedOut } = replica
    const known = this.#known.get(place) ?? new Map()
    this.#known.set(place, known)
    const from = Math.max(log.first, Math.min(this.#seen.get(replica) ?? 0, carriedOut) + 1)
    this.#seen.set(replica, carriedOut)
    for (let at = from; at <= carriedOut; at++) {
      const epoch = epochAt(log.shape, at)
      const first = known.get(at)
      if (first === undefined) known.set(at, { epoch, by })
      else if (first.epoch !== epoch)
        return `${place}: entry ${at} of epoch ${first.epoch} was carried out by ${first.by}, and ${by} has carried out one of epoch ${epoch} in its place`
    }
    return undefined
  }
}

type Replica = NonNullable<
  ReturnType<NonNullable<SimCluster['machines'][number]['node']>['leaders']['partitions']['find']>
>['seat']['replica']
