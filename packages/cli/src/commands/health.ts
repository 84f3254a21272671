/** Is everything as it should be? Each check says what it looked at. */

import type { ClusterStatus, NodeItem } from '../output/status-text.ts'

export interface HealthCheck {
  readonly check: string
  /** `note`: not wrong by itself, but somebody may want to know. */
  readonly result: 'ok' | 'note' | 'bad'
  readonly detail: string
}

const CLOCK_OFFSET_MS = 500

export function healthChecks({ items, documents }: ClusterStatus): HealthCheck[] {
  const named = (found: readonly NodeItem[], text: (item: NodeItem) => string): string =>
    found.map(text).join(', ')
  const check = (
    name: string,
    wrong: readonly NodeItem[],
    good: string,
    text: (item: NodeItem) => string,
    level: 'note' | 'bad' = 'bad',
  ): HealthCheck => ({
    check: name,
    result: wrong.length === 0 ? 'ok' : level,
    detail: wrong.length === 0 ? good : named(wrong, text),
  })
  const offsets = documents.filter(document => Math.abs(document.clock.ownOffsetMs) > CLOCK_OFFSET_MS)
  const voters = documents[0]?.registers
  const reachable = new Set(documents.map(document => document.node))
  const standing = voters?.acceptors.filter(id => reachable.has(id)).length ?? 0
  return [
    check(
      'nodes',
      items.filter(item => item.state !== 'ready'),
      `all ${items.length} answer and are ready`,
      item => `${item.node} is ${item.state}`,
    ),
    check(
      'suspicion',
      items.filter(item => item.suspectedBy.length > 0),
      'no node suspects another',
      item => `${item.node} is suspected by ${item.suspectedBy.join(' ')}`,
    ),
    {
      check: 'registers',
      result: voters === undefined || standing <= voters.acceptors.length / 2 ? 'bad' : 'ok',
      detail:
        voters === undefined
          ? 'no configuration yet'
          : `${standing} of ${voters.acceptors.length} voters answer`,
    },
    check(
      'damage',
      items.filter(item => item.damagedRows > 0),
      'no damaged rows',
      item => `${item.node} is healing ${item.damagedRows} damaged rows`,
    ),
    {
      check: 'clocks',
      result: offsets.length === 0 ? 'ok' : 'bad',
      detail:
        offsets.length === 0
          ? `all within ${CLOCK_OFFSET_MS} ms`
          : offsets.map(document => `${document.node} is off by ${document.clock.ownOffsetMs} ms`).join(', '),
    },
    check(
      'hints',
      items.filter(item => item.hintsHeld > 0),
      'none waiting',
      item => `${item.node} holds ${item.hintsHeld}`,
      'note',
    ),
    check(
      'sweeps',
      items.filter(item => item.proven < item.pairs),
      'every shared partition was proven equal',
      item => `${item.node} has proven ${item.proven} of ${item.pairs} pairs since it started`,
      'note',
    ),
  ]
}
