/** Prometheus text (exposition format 0.0.4) of a node's status. */

import type { FollowerLag, NodeStatus } from '@quorate/core'

type Metric = (
  name: string,
  type: 'counter' | 'gauge',
  help: string,
  /** Labels and value of each. */
  samples: readonly (readonly [string, number])[],
) => void

/** What this node takes of rows that are moved to it. */
export interface MovementFigures {
  readonly receivedBytes: number
  readonly bytesPerSecond: number
}

export function metricsText(
  status: NodeStatus,
  memory: NodeJS.MemoryUsage,
  movement: MovementFigures,
): string {
  const lines: string[] = []
  const metric: Metric = (name, type, help, samples) => {
    lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`)
    for (const [labels, value] of samples) lines.push(`${name}${labels} ${value}`)
  }
  for (const [name, value] of Object.entries(status.counters)) {
    metric(`quorate_${snake(name)}_total`, 'counter', `Count of ${words(name)} since the process started.`, [
      ['', value],
    ])
  }
  metric('quorate_up', 'gauge', 'Whether the node serves requests.', [
    ['', status.state === 'ready' || status.state === 'rebuilding' ? 1 : 0],
  ])
  metric('quorate_coordinating', 'gauge', 'Requests being coordinated.', [['', status.coordinating]])
  metric(
    'quorate_hints',
    'gauge',
    'Hints held, by target.',
    status.hints.map(hint => [label('target', hint.target), hint.count]),
  )
  metric(
    'quorate_hint_bytes',
    'gauge',
    'Bytes of hints held, by target.',
    status.hints.map(hint => [label('target', hint.target), hint.bytes]),
  )
  tableMetrics(metric, status)
  leaderMetrics(metric, status)
  metric(
    'quorate_member_suspected',
    'gauge',
    'Whether a member is suspected down.',
    status.members.map(member => [label('member', member.id), member.suspected ? 1 : 0]),
  )
  metric('quorate_store_memtable_bytes', 'gauge', 'Bytes in the memtable.', [
    ['', status.store.memtableBytes],
  ])
  metric('quorate_store_log_bytes', 'gauge', 'Bytes in the write-ahead log.', [['', status.store.logBytes]])
  metric('quorate_store_syncs_total', 'counter', 'Syncs of the write-ahead log.', [['', status.store.syncs]])
  metric('quorate_damaged_rows', 'gauge', 'Rows marked damaged and not healed yet.', [
    ['', status.damagedRows],
  ])
  metric('quorate_ledger_entries', 'gauge', 'Entries in the ledger of this node.', [
    ['', status.ledgerEntries],
  ])
  metric('quorate_clock_own_offset_ms', 'gauge', 'Own wall clock ahead of the time believed.', [
    ['', status.clock.ownOffsetMs],
  ])
  metric(
    'quorate_move_received_bytes_total',
    'counter',
    'Bytes of rows moved here since the process started.',
    [['', movement.receivedBytes]],
  )
  metric('quorate_move_bytes_per_second', 'gauge', 'Bytes per second that moves may take now.', [
    ['', Math.round(movement.bytesPerSecond)],
  ])
  metric('process_resident_memory_bytes', 'gauge', 'Resident memory.', [['', memory.rss]])
  return `${lines.join('\n')}\n`
}

function tableMetrics(metric: Metric, { tables }: NodeStatus): void {
  metric(
    'quorate_table_rows',
    'gauge',
    'Rows on this node, tombstones included.',
    tables.map(table => [label('table', table.name), table.rows]),
  )
  metric(
    'quorate_sweep_pairs_proven',
    'gauge',
    'Shared (partition, peer) pairs proven equal.',
    tables.map(table => [label('table', table.name), table.sweep.proven]),
  )
  metric(
    'quorate_sweep_pairs_overdue',
    'gauge',
    'Shared (partition, peer) pairs without a proof younger than ten sweep intervals.',
    tables.map(table => [label('table', table.name), table.sweep.overdue]),
  )
}

/** Of tables with leaders; the lag is told by whoever leads. */
function leaderMetrics(metric: Metric, { tables }: NodeStatus): void {
  const led = tables.flatMap(({ name, led }) => (led === undefined ? [] : [{ name, led }]))
  if (led.length === 0) return
  const each = (pick: (of: (typeof led)[number]['led']) => number) =>
    led.map(({ name, led }) => [label('table', name), pick(led)] as const)
  metric(
    'quorate_partitions_led',
    'gauge',
    'Partitions that this node leads.',
    each(of => of.leads),
  )
  metric(
    'quorate_partitions_unled',
    'gauge',
    'Partitions with a copy here that nobody leads, as far as this node knows.',
    each(of => of.unled),
  )
  metric(
    'quorate_log_entries',
    'gauge',
    'Entries that the logs of partitions here keep.',
    each(of => of.logEntries),
  )
  const lag = (pick: (follower: FollowerLag) => number) =>
    led.flatMap(({ name, led }) =>
      led.followers.map(
        follower =>
          [
            `${label('table', name).slice(0, -1)},${label('follower', follower.node).slice(1)}`,
            pick(follower),
          ] as const,
      ),
    )
  metric(
    'quorate_follower_lag_entries',
    'gauge',
    'Entries that a follower lacks.',
    lag(of => of.entries),
  )
  metric(
    'quorate_follower_lag_bytes',
    'gauge',
    'Bytes of entries that a follower lacks.',
    lag(of => of.bytes),
  )
  metric(
    'quorate_follower_lag_seconds',
    'gauge',
    'Age of the oldest entry that a follower lacks.',
    lag(of => of.seconds),
  )
}

const label = (name: string, value: string): string => `{${name}="${value.replace(/[\\"\n]/g, '_')}"}`
const snake = (name: string): string => name.replace(/[A-Z]/g, letter => `_${letter.toLowerCase()}`)
const words = (name: string): string => snake(name).replaceAll('_', ' ')
