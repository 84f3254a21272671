/** Sweep proofs in words: which ranges of which tables nobody has proven equal lately. */

import type { StatusDocument } from '../admin-client.ts'
import { count, duration } from './words.ts'

/** One sentence per table and node with overdue proofs. */
export function overdueProofs(documents: readonly StatusDocument[], nowMs: number): string[] {
  return documents.flatMap(({ node, tables, members, proofAgeMaxMs }) =>
    tables
      .filter(({ sweep }) => sweep.overdue > 0)
      .map(({ name, sweep }) => {
        const examples = sweep.overdueExamples.map(
          ({ partition, peer, provenMs }) =>
            `partition ${partition} with ${peer} ${provenMs === undefined ? 'never' : `${duration(Math.max(0, nowMs - provenMs))} ago`}`,
        )
        const own = members.find(member => member.id === node)?.http ?? ''
        const where = own === '' ? '' : ` --http ${own}`
        const more = sweep.overdue > examples.length ? `, …; all: quorate ring ${name}${where}` : ''
        return `${node}, table "${name}": ${sweep.overdue} of ${count(sweep.pairs, 'range')} not proven equal in the last ${duration(proofAgeMaxMs)} (${examples.join(', ')}${more})`
      }),
  )
}

/** Ranges that were never proven, by nodes that have not known them long enough for that to be wrong. */
export function awaitedProofs(documents: readonly StatusDocument[]): string[] {
  return documents.flatMap(({ node, tables }) =>
    tables
      .filter(({ sweep }) => sweep.overdue === 0 && sweep.proven < sweep.pairs)
      .map(
        ({ name, sweep }) =>
          `${node}, table "${name}": ${sweep.pairs - sweep.proven} of ${count(sweep.pairs, 'range')} not proven yet`,
      ),
  )
}
