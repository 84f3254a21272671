/** Is everything as it should be? Each check says what it looked at, and whom it could not ask. */

import type { StatusDocument } from '../admin-client.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import { followerText, type LedTable, ledTables } from '../output/led-text.ts'
import { awaitedProofs, overdueProofs } from '../output/proof-text.ts'
import type { ClusterStatus, NodeItem } from '../output/status-text.ts'
import { count, duration } from '../output/words.ts'

export interface HealthCheck {
  readonly check: string
  /** `note`: not wrong by itself, but somebody may want to know. `unknown`: not every node could be asked. */
  readonly result: 'ok' | 'note' | 'unknown' | 'bad'
  readonly detail: string
}

const CLOCK_OFFSET_MS = 500

/** What one check found, before the nodes that could not be asked are taken into account. */
interface Findings {
  readonly found: readonly string[]
  readonly good: string
  readonly level?: 'note' | 'bad'
}

export function healthChecks(cluster: ClusterStatus, nowMs: number): HealthCheck[] {
  const { items, documents } = cluster
  const silent = items.filter(item => item.state === 'unreachable')
  const led = ledTables(documents)
  /** A check of what each node says of itself: silence is not "ok". */
  const check = (name: string, { found, good, level = 'bad' }: Findings): HealthCheck => {
    const unasked =
      silent.length === 0 ? [] : [`${silent.map(item => item.node).join(', ')} could not be asked`]
    return {
      check: name,
      result: found.length > 0 ? level : silent.length > 0 ? 'unknown' : 'ok',
      detail: [...(found.length > 0 ? found : [good]), ...unasked].join('; '),
    }
  }
  const each = (wrong: (item: NodeItem) => boolean, text: (item: NodeItem) => string): string[] =>
    items.filter(item => item.state !== 'unreachable' && wrong(item)).map(text)
  return [
    nodesCheck(items),
    check('suspicion', {
      found: items
        .filter(item => item.suspectedBy.length > 0)
        .map(item => `${item.node} is suspected by ${item.suspectedBy.join(' ')}`),
      good: 'no node suspects another',
    }),
    registersCheck(documents),
    check('damage', {
      found: each(
        item => item.damagedRows > 0,
        item => `${item.node} is healing ${item.damagedRows} damaged rows`,
      ),
      good: 'no damaged rows',
    }),
    check('clocks', {
      found: documents
        .filter(document => Math.abs(document.clock.ownOffsetMs) > CLOCK_OFFSET_MS)
        .map(document => `${document.node} is off by ${document.clock.ownOffsetMs} ms`),
      good: `all within ${CLOCK_OFFSET_MS} ms`,
    }),
    check('hints', {
      found: each(
        item => item.hintsHeld > 0,
        item => `${item.node} holds ${item.hintsHeld}`,
      ),
      good: 'none waiting',
      level: 'note',
    }),
    check('proofs', proofFindings(cluster, nowMs)),
    ...(led.length === 0 ? [] : [check('leaders', ledFindings(led))]),
  ]
}

/** Behind for longer than this somebody wants to know. */
const LAG_SECONDS = 10

function ledFindings(tables: readonly LedTable[]): Findings {
  const unled = tables
    .filter(table => table.unled > 0)
    .map(
      ({ table, unled }) =>
        `nobody seen leading ${count(unled, 'partition')} of "${table}" (quorate lag ${table})`,
    )
  if (unled.length > 0) return { found: unled, good: '' }
  return {
    found: tables.flatMap(({ table, followers }) =>
      followers
        .filter(({ seconds, filling }) => seconds > LAG_SECONDS || filling > 0)
        .map(follower => `of "${table}" ${followerText(follower)}`),
    ),
    good: 'every partition is led, no follower is far behind',
    level: 'note',
  }
}

function nodesCheck(items: readonly NodeItem[]): HealthCheck {
  const wrong = items.filter(item => item.state !== 'ready')
  return {
    check: 'nodes',
    // A node whose admin address nobody knows may be well: its peers would suspect it if it were not.
    result: wrong.length === 0 ? 'ok' : wrong.every(item => item.http === '') ? 'unknown' : 'bad',
    detail:
      wrong.length === 0
        ? `all ${items.length} answer and are ready`
        : wrong
            .map(item =>
              item.problem === null ? `${item.node} is ${item.state}` : `${item.node}: ${item.problem}`,
            )
            .join('; '),
  }
}

function registersCheck(documents: readonly StatusDocument[]): HealthCheck {
  const voters = documents[0]?.registers
  const reachable = new Set(documents.map(document => document.node))
  const standing = voters?.acceptors.filter(id => reachable.has(id)).length ?? 0
  return {
    check: 'registers',
    result: voters === undefined || standing <= voters.acceptors.length / 2 ? 'bad' : 'ok',
    detail:
      voters === undefined
        ? 'no configuration yet'
        : `${standing} of ${voters.acceptors.length} voters answer`,
  }
}

function proofFindings({ items, documents }: ClusterStatus, nowMs: number): Findings {
  const overdue = overdueProofs(documents, nowMs)
  if (overdue.length > 0) return { found: overdue, good: '' }
  const proofs = items.flatMap(item => item.oldestProofMs ?? [])
  const limit = duration(Math.max(0, ...documents.map(document => document.proofAgeMaxMs)))
  const oldest =
    proofs.length === 0
      ? ''
      : `; the oldest proof is ${duration(Math.max(0, nowMs - Math.min(...proofs)))} old`
  return {
    found: awaitedProofs(documents),
    good: `every shared range was proven equal in the last ${limit}${oldest}`,
    level: 'note',
  }
}

/** What is wrong outweighs what is unknown. */
export function healthExit(checks: readonly HealthCheck[]): ExitCode {
  if (checks.some(check => check.result === 'bad')) return exitCodes.unhealthy
  return checks.some(check => check.result === 'unknown') ? exitCodes.partial : exitCodes.ok
}

/** `status` shows more than it judges: it ends with 10 for what it shows in red, with 9 for whom it could not ask. */
export function statusExit({ items }: ClusterStatus): ExitCode {
  if (items.some(item => item.overdue > 0 || item.state === 'failed' || item.state === 'full'))
    return exitCodes.unhealthy
  return items.some(item => item.state === 'unreachable') ? exitCodes.partial : exitCodes.ok
}
