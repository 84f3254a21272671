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
  const gauge = (name: string, help: string, pick: (of: (typeof led)[number]['led']) => number): void =>
    metric(
      name,
      'gauge',
      help,
      led.map(({ name: table, led: of }) => [label('table', table), pick(of)] as const),
    )
  gauge('quorate_partitions_led', 'Partitions that this node leads.', of => of.leads)
  gauge(
    'quorate_partitions_unled',
    'Partitions with a copy here that nobody leads, as far as this node knows.',
    of => of.unled,
  )
  gauge('quorate_log_entries', 'Entries that the logs of partitions here keep.', of => of.logEntries)
  const lags = led.flatMap(({ name, led: of }) =>
    of.followers.map(lag => ({
      lag,
      labels: `${label('table', name).slice(0, -1)},${label('follower', lag.node).slice(1)}`,
    })),
  )
  const lagGauge = (name: string, help: string, pick: (lag: FollowerLag) => number): void =>
    metric(
      name,
      'gauge',
      help,
      lags.map(({ labels, lag }) => [labels, pick(lag)] as const),
    )
  lagGauge('quorate_follower_lag_entries', 'Entries that a follower lacks.', lag => lag.entries)
  lagGauge('quorate_follower_lag_bytes', 'Bytes of entries that a follower lacks.', lag => lag.bytes)
  lagGauge(
    'quorate_follower_lag_seconds',
    'Age of the oldest entry that a follower lacks.',
    lag => lag.seconds,
  )
}

const label = (name: string, value: string): string => `{${name}="${value.replace(/[\\"\n]/g, '_')}"}`
const snake = (name: string): string => name.replace(/[A-Z]/g, letter => `_${letter.toLowerCase()}`)
const words = (name: string): string => snake(name).replaceAll('_', ' ')
