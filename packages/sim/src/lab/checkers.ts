/**
 * The lab's checkers: pure functions of what clients did and were told. They know nothing of the setting
 * that was run, nor of what it is expected to do.
 *
 * Reference: Terry et al., "Session Guarantees for Weakly Consistent Replicated Data" (PDIS 1994).
 */

import { type LabEvent, type LabRead, type LabWrite, timeText } from './timeline.ts'

export interface Verdict {
  /** Undecided: there was nothing to compare, which is neither a proof nor a finding. */
  readonly verdict: 'holds' | 'broken' | 'undecided'
  /** What was checked, as a sentence that is true or not. */
  readonly claim: string
  /** Where it was not so; or what was looked at, when it held. */
  readonly evidence: readonly string[]
}

const reads = (history: readonly LabEvent[]): LabRead[] => history.filter(event => event.kind === 'read')
const writes = (history: readonly LabEvent[]): LabWrite[] => history.filter(event => event.kind === 'write')

const seen = (read: LabRead): string => (read.version === undefined ? 'nothing' : `version ${read.version}`)

function judge(claim: string, violations: readonly string[], compared: number, what: string): Verdict {
  if (compared === 0) return { verdict: 'undecided', claim, evidence: ['nothing to compare'] }
  if (violations.length > 0) return { verdict: 'broken', claim, evidence: violations }
  return { verdict: 'holds', claim, evidence: [`${compared} ${what}`] }
}

/** A read that begins after its reader's own write was acknowledged sees that write or a newer one. */
export function readYourWrites(history: readonly LabEvent[]): Verdict {
  const violations: string[] = []
  let pairs = 0
  for (const read of reads(history)) {
    for (const write of writes(history)) {
      if (write.who !== read.who || write.key !== read.key) continue
      if (write.outcome !== 'acknowledged' || write.returnMs > read.callMs) continue
      pairs++
      if ((read.version ?? 0) >= write.version) continue
      violations.push(
        `${read.who} was told at ${timeText(write.returnMs)} that ${write.key} is stored (version ${write.version}), and found ${seen(read)} at ${timeText(read.returnMs)}`,
      )
    }
  }
  const claim = 'Whoever was told that a write is stored finds it in every later read.'
  return judge(claim, violations, pairs, 'pairs of an own write and a later read, all in order')
}

/** A read that begins after another one of the same reader ended sees nothing older. */
export function monotonicReads(history: readonly LabEvent[]): Verdict {
  const violations: string[] = []
  let pairs = 0
  const all = reads(history)
  for (const [i, later] of all.entries()) {
    const earlier = all.slice(0, i).findLast(read => read.who === later.who && read.key === later.key)
    if (earlier === undefined || earlier.returnMs > later.callMs) continue
    pairs++
    if ((later.version ?? 0) >= (earlier.version ?? 0)) continue
    violations.push(
      `${later.who} saw ${earlier.key} with ${seen(earlier)} at ${timeText(earlier.returnMs)}, and with ${seen(later)} at ${timeText(later.returnMs)}`,
    )
  }
  const claim = 'Whoever reads twice does not go back in time.'
  return judge(claim, violations, pairs, 'pairs of consecutive reads, all in order')
}

/** Whoever found the effect finds, from then on, what caused it. */
export function causeBeforeEffect(cause: string, effect: string): (history: readonly LabEvent[]) => Verdict {
  return history => {
    const violations: string[] = []
    let pairs = 0
    for (const first of reads(history)) {
      if (first.key !== effect || first.version === undefined) continue
      for (const later of reads(history)) {
        if (later.who !== first.who || later.key !== cause || later.callMs < first.returnMs) continue
        pairs++
        if (later.version !== undefined) continue
        violations.push(
          `${later.who} found the ${effect} at ${timeText(first.returnMs)}, and no ${cause} at ${timeText(later.returnMs)}`,
        )
      }
    }
    const claim = `Whoever has found the ${effect} finds the ${cause}, too.`
    return judge(claim, violations, pairs, `times the ${cause} was looked for after that, and found`)
  }
}

/** All reads of a key that nobody writes meanwhile find the same. */
export function replicasAgree(history: readonly LabEvent[]): Verdict {
  const violations: string[] = []
  let pairs = 0
  const all = reads(history)
  for (const [i, later] of all.entries()) {
    const earlier = all.slice(0, i).findLast(read => read.key === later.key)
    if (earlier === undefined) continue
    pairs++
    if (later.version === earlier.version) continue
    violations.push(
      `${earlier.who} found ${earlier.key} with ${seen(earlier)} at ${timeText(earlier.returnMs)}, and ${later.who} with ${seen(later)} at ${timeText(later.returnMs)}; nobody wrote in between`,
    )
  }
  const claim = 'Whichever replica is asked, a row at rest is the same.'
  return judge(claim, violations, pairs, 'pairs of reads from two replicas, all equal')
}

/**
 * Whatever was acknowledged is there at the end, or something newer of its key. The ledger excuses nothing: what is in
 * it can be had back, but is not in the table.
 */
export function nothingLost(history: readonly LabEvent[]): Verdict {
  const final = history.find(event => event.kind === 'final')
  const claim = 'Whatever somebody was told is stored is there at the end.'
  if (final === undefined) return judge(claim, [], 0, '')
  const stored = writes(history).filter(({ outcome }) => outcome === 'acknowledged')
  const violations: string[] = []
  for (const { who, key, version, returnMs } of stored) {
    if (final.rows.some(row => row.key === key && row.version >= version)) continue
    const kept = final.ledger.find(entry => entry.key === key && entry.version === version)
    const where = kept === undefined ? 'nor in any ledger' : `but in the ledger of ${kept.node}`
    violations.push(
      `${who} was told at ${timeText(returnMs)} that ${key} is stored; it is not in the table, ${where}`,
    )
  }
  const found =
    violations.length === 0
      ? []
      : [`${violations.length} of ${stored.length} acknowledged writes are not there`, ...violations]
  return judge(claim, found, stored.length, 'acknowledged writes, all there')
}

/** Whoever looks under his own number finds what he put there himself, or nothing. */
export function ownOnly(history: readonly LabEvent[]): Verdict {
  const shown = history.filter(event => event.kind === 'shown')
  const violations = shown
    .filter(({ who, owner }) => owner !== undefined && owner !== who)
    .map(
      ({ who, number, owner, atMs }) =>
        `${who} has number ${number}, and was shown what is ${owner}’s at ${timeText(atMs)}`,
    )
  return judge('Nobody is shown what is somebody else’s.', violations, shown.length, 'looks, all at the own')
}

/**
 * A row that is taken has one taker, and is never again found free: no two people were told that their write of one key
 * is stored, and no read that began after one was told so found nothing.
 */
export function oneTaker(history: readonly LabEvent[]): Verdict {
  const stored = writes(history).filter(({ outcome }) => outcome === 'acknowledged')
  const violations: string[] = []
  let compared = 0
  for (const [i, { who, key, returnMs }] of stored.entries()) {
    for (const later of stored.slice(i + 1)) {
      if (later.key !== key || later.who === who) continue
      compared++
      violations.push(
        `${who} was told at ${timeText(returnMs)} that ${key} is taken for ${who}, and ${later.who} at ${timeText(later.returnMs)} that it is for ${later.who}`,
      )
    }
    for (const read of reads(history)) {
      if (read.key !== key || read.callMs < returnMs) continue
      compared++
      if (read.version !== undefined) continue
      violations.push(
        `${read.who} was told at ${timeText(read.returnMs)} that ${key} is free; ${who} had it since ${timeText(returnMs)}`,
      )
    }
  }
  const claim = 'What somebody has taken is nobody else’s, and is not called free any more.'
  return judge(claim, violations, compared, 'looks at what was taken, none of which called it free')
}

/** No acknowledged write took a round trip between the regions. */
export function withinRegion(roundTripMs: number): (history: readonly LabEvent[]) => Verdict {
  return history => {
    const done = writes(history).filter(write => write.outcome === 'acknowledged')
    const took = done.map(write => write.returnMs - write.callMs).sort((a, b) => a - b)
    const slow = took.filter(ms => ms >= roundTripMs)
    const claim = `A write is acknowledged in less than the ${roundTripMs} ms of a round trip between the regions.`
    const middle = took[Math.floor(took.length / 2)] ?? 0
    const figures = `${middle.toFixed(1)} ms median (${(took[0] ?? 0).toFixed(1)} to ${(took.at(-1) ?? 0).toFixed(1)} ms)`
    const violations =
      slow.length === 0
        ? []
        : [`${slow.length} of ${took.length} writes waited for the other region: ${figures}`]
    return judge(claim, violations, took.length, `writes: ${figures}`)
  }
}
