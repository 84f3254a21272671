/**
 * How old the proofs are that replicas hold the same.
 *
 * Problem: "proven equal once since the start" says nothing about today. Mechanism: every range (a
 * partition, as shared with one peer) has the moment of its last proof; one older than the limit is
 * overdue, and so is one that was never proven although this node has known the partition for longer than
 * the limit. A partition that was cut or joined is another one: what was proven of the old bounds is no proof
 * of the new ones, and the new ones have time. Proofs are in memory only: after a restart a range is waiting, not overdue, until then.
 *
 * The limit is in sweeps: each peer is swept once per interval, so a healthy cluster stays far below it.
 */

import type { ByteString, NodeId, TableId } from '../base/ids.ts'
import type { Catalog, TableView } from '../catalog/catalog.ts'
import { ledOf } from '../catalog/table-descriptor.ts'
import type { PartitionMap } from '../partitioning/partition-map.ts'
import type { Clock } from '../ports/clock.ts'

interface Since {
  readonly from: ByteString
  readonly to: ByteString
  readonly monotonicMs: number
  readonly wallMs: number
}

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
  /** Since when this node knows each partition with the bounds of now. */
  readonly #known = new Map<TableId, { readonly map: PartitionMap; readonly since: Map<number, Since> }>()

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
    const now = { monotonicMs: this.#clock.monotonicMs(), wallMs: this.#clock.wallMs() }
    for (const { descriptor, map } of catalog.views()) {
      const known = this.#known.get(descriptor.id)
      if (known?.map === map) continue
      const since = new Map<number, Since>()
      for (const { id, from, to } of map.partitions) {
        const before = known?.since.get(id)
        const isSame = before !== undefined && before.from === from && before.to === to
        since.set(id, isSame ? before : { from, to, ...now })
      }
      this.#known.set(descriptor.id, { map, since })
    }
  }

  /** Of the partition with the bounds it has now. */
  #provenMs(table: TableId, id: number, peer: NodeId): number | undefined {
    const provenMs = this.#proven.get(`${table}/${id}/${peer}`)
    const since = this.#known.get(table)?.since.get(id)
    return provenMs !== undefined && since !== undefined && provenMs < since.wallMs ? undefined : provenMs
  }

  of({ descriptor, map }: TableView): ProofSummary {
    // Of a table with leaders the logs say whether replicas are equal: its rows are not swept.
    const swept = ledOf(descriptor) === undefined ? map.partitions : []
    const ranges = swept
      .filter(partition => partition.replicas.includes(this.#self))
      .flatMap(({ id, replicas }) =>
        replicas
          .filter(home => home !== this.#self)
          .map(peer => ({
            partition: id,
            peer,
            provenMs: this.#provenMs(descriptor.id, id, peer),
          })),
      )
    const nowMs = this.#clock.monotonicMs()
    const since = this.#known.get(descriptor.id)?.since
    const isYoung = (id: number): boolean => nowMs - (since?.get(id)?.monotonicMs ?? 0) <= this.maxMs
    const oldestAllowedMs = this.#clock.wallMs() - this.maxMs
    const overdue = ranges
      .filter(({ partition, provenMs }) =>
        provenMs === undefined ? !isYoung(partition) : provenMs < oldestAllowedMs,
      )
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
