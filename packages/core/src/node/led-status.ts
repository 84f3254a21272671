/** What a node says of the partitions of a table that have leaders: how many it leads, and how far its followers are. */

import type { NodeId, TableId } from '../base/ids.ts'
import type { LedPartitions } from '../led/led-partitions.ts'

/** Over all partitions of the table that this node leads. */
export interface FollowerLag {
  readonly node: string
  readonly entries: number
  readonly bytes: number
  /** Age of the oldest entry that it lacks. */
  readonly seconds: number
  /** Since the newest message that it has answered; null: one partition has no answer yet. */
  readonly silentMs: number | null
  /** Partitions whose log does not reach back to what it lacks: it is filled with rows. */
  readonly filling: number
}

export interface LedStatus {
  readonly log: string
  readonly ack: string
  /** Partitions that this node leads, follows, or keeps a copy of while nobody leads them as far as it knows. */
  readonly leads: number
  readonly follows: number
  readonly unled: number
  /** Entries that the logs here keep. */
  readonly logEntries: number
  /** Of the followers of what this node leads. */
  readonly followers: readonly FollowerLag[]
}

export function ledStatus(partitions: LedPartitions, table: TableId): LedStatus | undefined {
  const held = partitions.heldOf(table)
  const followers = new Map<NodeId, FollowerLag>()
  let [leads, unled, logEntries] = [0, 0, 0]
  for (const { seat, partition } of held) {
    const { log } = seat.replica
    logEntries += log.shape.last - log.first + 1
    if (partition.lead?.leader === undefined) unled++
    if (seat.leading === undefined) continue
    leads++
    for (const { isFilled, ...lag } of seat.report().followers)
      followers.set(lag.node, lagTogether(followers.get(lag.node), { ...lag, filling: isFilled ? 0 : 1 }))
  }
  const settings = held[0]?.seat.place.settings
  if (settings === undefined) return undefined
  const { log, ack } = settings
  return {
    log,
    ack,
    leads,
    follows: held.length - leads - unled,
    unled,
    logEntries,
    followers: [...followers.values()],
  }
}

/** Of one follower, over more partitions. */
export function lagTogether(sum: FollowerLag | undefined, one: FollowerLag): FollowerLag {
  if (sum === undefined) return one
  return {
    node: one.node,
    entries: sum.entries + one.entries,
    bytes: sum.bytes + one.bytes,
    seconds: Math.max(sum.seconds, one.seconds),
    silentMs: sum.silentMs === null || one.silentMs === null ? null : Math.max(sum.silentMs, one.silentMs),
    filling: sum.filling + one.filling,
  }
}
