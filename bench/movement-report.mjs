// The figures of movement in lines, and against their aims.
import { round } from './measure.mjs'

export function movementRatios({ planning, moving }, storeCommit) {
  const limit = storeCommit?.[256]?.opsPerSecond
  return {
    ...(moving && {
      'user p99 while a node joins / before (aim <= 2)': moving.felt.p99Ratio,
      ...(limit && {
        'rows moved to one node per second / bare store commit @256': round(
          moving.unlimited.rowsPerSecond / limit,
        ),
      }),
    }),
    ...(planning && {
      'seconds to plan 1,000 nodes x 16 tokens (aim < 2)': round(
        Math.max(planning.plan.joinMs, planning.plan.leaveMs) / 1_000,
      ),
      'seconds to assign 10,000 partitions by flow (aim < 5)': round(
        Math.max(planning.assign.firstMs, planning.assign.growMs) / 1_000,
      ),
      'million lookups per second in 65,536 partitions (aim > 5)': round(planning.lookup.perSecond / 1e6, 1),
    }),
  }
}

export function movementLines({ planning, moving }) {
  const lines = []
  if (moving) {
    for (const [name, one] of [
      ['without a limit', moving.unlimited],
      ['limit 1 MiB/s', moving.limited],
      ['under load, default limit', moving.felt.moved],
    ])
      lines.push(
        `movement, ${name}: ${one.rows} rows in ${one.seconds} s, ${one.rowsPerSecond} rows/s, ${one.mbPerSecond} MB/s to ${one.receivers} nodes`,
      )
    for (const [name, one] of Object.entries(moving.felt).filter(([, value]) => value.p99Ms))
      lines.push(`users, ${name}: ${one.perSecond} requests/s   p50 ${one.p50Ms} ms   p99 ${one.p99Ms} ms`)
  }
  for (const { partitions, bytes, wholeMapBytes, ms } of planning?.mapChanges ?? [])
    lines.push(
      `a change of one of ${partitions} partitions: ${bytes} bytes of ${wholeMapBytes}, ${ms} ms on each node`,
    )
  return lines
}
