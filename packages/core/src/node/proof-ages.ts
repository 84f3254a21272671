/**
 * How old the proofs are that replicas hold the same.
 *
 * Problem: "proven equal once since the start" says nothing about today. Mechanism: every range (a
 * partition, as shared with one peer) has the moment of its last proof; one older than the limit is
 * overdue, and so is one that was never proven although this node has known the table for longer than
 * the limit. Proofs are in memory only: after a restart a range is waiting, not overdue, until then.
 *
 * The limit is in sweeps: each peer is swept once per interval, so a healthy cluster stays far below it.
 */

import type { NodeId, TableId } from '../base/ids.ts'
import type { Catalog, TableView } from '../catalog/catalog.ts'
import type { Clock } from '../ports/clock.ts'

/** Sweep intervals that a proof may be old. */
export const PROOF_INTERVALS_MAX = 10
const EXAMPLES_MAX = 3

export interface OverdueRange {
  readonly partition: number
  readonly peer: NodeId
  /** Wall clock of the last proof; undefined: never since this node started. */
  readonly provenMs: number | undefined
}

export interface ProofSummary {
  /** Pairs (partition, peer) this node shares, those proven equal since it started, and the oldest such proof. */
  readonly pairs: number
  readonly proven: number
  readonly oldestMs: number | undefined
  /** Pairs without a proof younger than the limit, and some of them, the oldest first. */
  readonly overdue: number
  readonly overdueExamples: readonly OverdueRange[]
}

export class ProofAges {
  readonly maxMs: number
  readonly #clock: Clock
  readonly #self: NodeId
  readonly #proven: ReadonlyMap<string, number>
  /** Monotonic time at which this node first knew a table. */
  readonly #knownSince = new Map<TableId, number>()

  constructor(
    clock: Clock,
    self: NodeId,
    catalog: Catalog,
    proven: ReadonlyMap<string, number>,
    intervalMs: number,
  ) {
    this.#clock = clock
    this.#self = self
    this.#proven = proven
    this.maxMs = intervalMs * PROOF_INTERVALS_MAX
    this.#follow(catalog)
    catalog.onChange(() => this.#follow(catalog))
  }

  #follow(catalog: Catalog): void {
    for (const { descriptor } of catalog.views())
      if (!this.#knownSince.has(descriptor.id)) this.#knownSince.set(descriptor.id, this.#clock.monotonicMs())
  }

  of({ descriptor, map }: TableView): ProofSummary {
    const ranges = map.partitions
      .filter(partition => partition.replicas.includes(this.#self))
      .flatMap(({ id, replicas }) =>
        replicas
          .filter(home => home !== this.#self)
          .map(peer => ({
            partition: id,
            peer,
            provenMs: this.#proven.get(`${descriptor.id}/${id}/${peer}`),
          })),
      )
    const knownMs = this.#clock.monotonicMs() - (this.#knownSince.get(descriptor.id) ?? 0)
    const oldestAllowedMs = this.#clock.wallMs() - this.maxMs
    const overdue = ranges
      .filter(({ provenMs }) => (provenMs === undefined ? knownMs > this.maxMs : provenMs < oldestAllowedMs))
      .sort((a, b) => (a.provenMs ?? 0) - (b.provenMs ?? 0))
    const proofs = ranges.flatMap(({ provenMs }) => (provenMs === undefined ? [] : [provenMs]))
    return {
      pairs: ranges.length,
      proven: proofs.length,
      oldestMs: proofs.length === 0 ? undefined : proofs.reduce((a, b) => Math.min(a, b)),
      overdue: overdue.length,
      overdueExamples: overdue.slice(0, EXAMPLES_MAX),
    }
  }
}
