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

/**
 * The cart has what was put in last and not taken out since, and nothing that was taken out last: of what happens to one
 * thing the later word counts, and of two at the same time that of who puts it in.
 */
export function cartAsMeant(history: readonly LabEvent[]): Verdict {
  const changes = history.filter(event => event.kind === 'cart-change')
  const final = history.findLast(event => event.kind === 'cart')
  const claim = 'What was put in is in the cart until somebody takes it out, and is out from then on.'
  if (final === undefined) return judge(claim, [], 0, '')
  const violations: string[] = []
  const items = [...new Set(changes.map(({ item }) => item))]
  for (const item of items) {
    const of = changes.filter(change => change.item === item)
    const last = of.reduce((a, b) =>
      b.callMs > a.returnMs || (b.deed === 'puts in' && b.returnMs > a.callMs) ? b : a,
    )
    const isThere = final.items.includes(item)
    if (isThere === (last.deed === 'puts in')) continue
    violations.push(
      `${last.who} ${last.deed === 'puts in' ? 'put in' : 'took out'} ${item} at ${timeText(last.returnMs)} and was told that it is done; at the end it is ${isThere ? 'there' : 'not there'}`,
    )
  }
  return judge(claim, violations, items.length, 'things, each where it belongs')
}

/** The last write of a key, of those that did not overlap, is what is found at the end. */
export function lastWordCounts(history: readonly LabEvent[]): Verdict {
  const violations: string[] = []
  const stored = writes(history).filter(({ outcome }) => outcome === 'acknowledged')
  const lastReads = new Map(reads(history).map(read => [read.key, read]))
  let compared = 0
  for (const [key, read] of lastReads) {
    const last = stored.filter(write => write.key === key && write.returnMs < read.callMs).at(-1)
    if (last === undefined) continue
    compared++
    if ((read.version ?? 0) >= last.version) continue
    violations.push(
      `${last.who} was told at ${timeText(last.returnMs)} that ${key} is stored (version ${last.version}); ${read.who} found ${seen(read)} at ${timeText(read.returnMs)}, which was written before`,
    )
  }
  return judge(
    'What was written last is what is found.',
    violations,
    compared,
    'keys, all with the last write',
  )
}

/** What was deleted is never found again. */
export function staysDeleted(history: readonly LabEvent[]): Verdict {
  const violations: string[] = []
  let compared = 0
  for (const write of writes(history)) {
    if (write.version !== DELETED || write.outcome !== 'acknowledged') continue
    for (const read of reads(history)) {
      if (read.key !== write.key || read.callMs < write.returnMs) continue
      compared++
      if (read.version === undefined) continue
      violations.push(
        `${write.who} was told at ${timeText(write.returnMs)} that ${write.key} is deleted; ${read.who} found it (${seen(read)}) at ${timeText(read.returnMs)}`,
      )
    }
  }
  return judge(
    'What was deleted is not found again.',
    violations,
    compared,
    'later looks, none of which found it',
  )
}

/** In place of the version of a write: it deletes. */
export const DELETED = 0

/** A row has a few values beside each other at the most, and takes every write. */
export function fewSiblings(most: number): (history: readonly LabEvent[]) => Verdict {
  return history => {
    const piles = history.filter(event => event.kind === 'pile')
    const refused = piles.filter(pile => pile.refused)
    const greatest = Math.max(0, ...piles.map(({ values }) => values))
    const violations = [
      ...(greatest > most ? [`the row had up to ${greatest} values beside each other`] : []),
      ...(refused.length > 0
        ? [
            `${refused.length} of ${piles.length} writes were refused (TOO_MANY_SIBLINGS), the first at ${timeText(refused[0]!.atMs)}`,
          ]
        : []),
    ]
    const claim = `A row never has more than ${most} values beside each other, and takes every write.`
    return judge(
      claim,
      violations,
      piles.length,
      `writes, all taken; at most ${greatest} values beside each other`,
    )
  }
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
