/**
 * Linearizability of rows that are lists of appended tags.
 *
 * The final list is the order in which everything took place, which makes the check exact and cheap: an append that
 * was acknowledged is in it, once; one that was not applied is not; of two appends of which one ended before the other
 * began, the first comes first; a read is a beginning of the final list, with everything in it that had been
 * acknowledged before it began, and nothing that began after it ended; and of two reads, one of which ended before the
 * other began, the first sees no more. A follower's read may lack what is younger than the age that its receipt tells.
 * References: Herlihy, Wing (1990); Kingsbury, Alvaro, "Elle" (VLDB 2020), for lists as the easiest model to judge.
 */

import type { ListAppend, ListHistory, ListRead } from '../workloads/list-history.ts'
import type { Violation } from './evidence.ts'

export interface ListEvidence {
  readonly history: ListHistory
  /** By row, as the leader tells it when everything is whole again. */
  readonly final: ReadonlyMap<string, readonly string[]>
  /** Tags in ledgers: what was cut from logs, and told. */
  readonly ledger: ReadonlySet<string>
  /** No election was unclean: then what was acknowledged is there, and a ledger is no excuse. */
  readonly isWhole: boolean
  /** How far apart the clocks of two machines may be, in milliseconds. */
  readonly clocksApartMs: number
}

export function checkLists(evidence: ListEvidence): Violation[] {
  return evidence.history.rows().flatMap(row => checkRow(row, evidence))
}

function checkRow(row: string, evidence: ListEvidence): Violation[] {
  const { history, final, ledger, isWhole, clocksApartMs } = evidence
  const list = final.get(row)
  // That it cannot be read is told apart.
  if (list === undefined) return []
  const appends = history.appends.filter(append => append.row === row)
  const isGone = (tag: string): boolean => !isWhole && ledger.has(tag) && !list.includes(tag)
  const reads = history.reads
    .filter(read => read.row === row)
    .map(read => ({ ...read, found: read.found.filter(tag => !isGone(tag)) }))
  const out: Violation[] = []
  const violate = (checker: string, message: string): void =>
    void out.push({ checker, message: `${row}: ${message}` })
  if (new Set(list).size !== list.length) violate('append-once', `a tag is there twice: ${list.join(' ')}`)
  const place = new Map(list.map((tag, at) => [tag, at]))
  for (const append of appends) checkPresence(append, place, evidence, violate)
  checkOrder(appends, place, violate)
  for (const read of reads) checkRead(read, appends, list, clocksApartMs, violate)
  checkReadOrder(reads, violate)
  return out
}

type Violate = (checker: string, message: string) => void

function checkPresence(
  { tag, outcome, beganMs, endedMs }: ListAppend,
  place: ReadonlyMap<string, number>,
  { ledger, isWhole }: ListEvidence,
  violate: Violate,
): void {
  const when = `(${beganMs.toFixed(1)} to ${endedMs.toFixed(1)})`
  if (outcome === 'ok' && !place.has(tag) && !ledger.has(tag))
    violate('no-lost-append', `${tag} was acknowledged ${when} and is gone, also from the ledgers`)
  else if (outcome === 'ok' && !place.has(tag) && isWhole)
    violate(
      'no-lost-append',
      `${tag} was acknowledged ${when} and is in a ledger only; no election was unclean`,
    )
  if ((outcome === 'refused' || outcome === 'not-applied') && place.has(tag))
    violate('outcomes', `${tag} was said not to be applied ${when}, and is there`)
}

/** In the order of the list nothing begins only after something later has ended. */
function checkOrder(
  appends: readonly ListAppend[],
  place: ReadonlyMap<string, number>,
  violate: Violate,
): void {
  const ordered = appends
    .filter(({ tag }) => place.has(tag))
    .sort((a, b) => place.get(a.tag)! - place.get(b.tag)!)
  let earliestEnd = Number.POSITIVE_INFINITY
  let by: ListAppend | undefined
  for (let at = ordered.length - 1; at >= 0; at--) {
    const append = ordered[at]!
    if (append.beganMs > earliestEnd)
      violate('real-time-order', `${append.tag} began after ${by!.tag} had ended, and comes before it`)
    if (append.outcome === 'ok' && append.endedMs < earliestEnd) {
      earliestEnd = append.endedMs
      by = append
    }
  }
}

function checkRead(
  read: ListRead,
  appends: readonly ListAppend[],
  list: readonly string[],
  clocksApartMs: number,
  violate: Violate,
): void {
  const { found, beganMs, endedMs, byLeader, receipt } = read
  const who = `the ${byLeader ? 'leader' : 'follower'} ${receipt?.coordinator ?? ''} read at ${beganMs.toFixed(1)}`
  if (found.some((tag, at) => list[at] !== tag))
    return violate(
      'log-prefix',
      `${who} saw [${found.join(' ')}], which is no beginning of [${list.join(' ')}]`,
    )
  const seen = new Set(found)
  const sinceMs = byLeader ? beganMs : beganMs - (receipt?.log?.staleMs ?? 0) - clocksApartMs
  const missed = appends.find(
    ({ tag, outcome, endedMs: end }) =>
      outcome === 'ok' && end < sinceMs && !seen.has(tag) && list.includes(tag),
  )
  if (missed !== undefined)
    violate(
      byLeader ? 'linearizable-read' : 'staleness',
      `${who} missed ${missed.tag}, acknowledged at ${missed.endedMs.toFixed(1)}${byLeader ? '' : `, ${(beganMs - missed.endedMs).toFixed(1)} ms before, and said that it was ${receipt?.log?.staleMs} ms behind`}`,
    )
  const early = appends.find(({ tag, beganMs: begin }) => seen.has(tag) && begin > endedMs)
  if (early !== undefined)
    violate('linearizable-read', `${who} saw ${early.tag}, which began after it had ended`)
}

function checkReadOrder(reads: readonly ListRead[], violate: Violate): void {
  const byEnd = reads.filter(({ byLeader }) => byLeader).sort((a, b) => a.endedMs - b.endedMs)
  const byBegin = [...byEnd].sort((a, b) => a.beganMs - b.beganMs)
  let longest = 0
  let at = 0
  for (const read of byBegin) {
    for (; at < byEnd.length && byEnd[at]!.endedMs < read.beganMs; at++)
      longest = Math.max(longest, byEnd[at]!.found.length)
    if (read.found.length < longest)
      violate(
        'linearizable-read',
        `a read at ${read.beganMs.toFixed(1)} saw ${read.found.length} tags, and one before it ${longest}`,
      )
  }
}

/** Of each partition and epoch one node has acknowledged writes, and never two with one epoch. */
export function checkEpochs(history: ListHistory, partitionOf: (row: string) => string): Violation[] {
  const leaders = new Map<string, string>()
  const out: Violation[] = []
  for (const { row, receipt, outcome, tag } of history.appends) {
    const log = receipt?.log
    if (outcome !== 'ok' || log === undefined) continue
    const name = `${partitionOf(row)} epoch ${log.epoch}`
    const known = leaders.get(name) ?? log.leader
    leaders.set(name, known)
    if (known !== log.leader)
      out.push({
        checker: 'one-leader',
        message: `${name}: ${known} and ${log.leader} both acknowledged (${tag})`,
      })
  }
  return out
}
