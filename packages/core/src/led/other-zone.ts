/** `ack: one` with the copy in another zone: copies in the leader's own zone count only while no other zone answers. */

import type { NodeId } from '../base/ids.ts'
import type { NodeContext } from '../leaderless/node-context.ts'

/** `heard`: when the newest message that each follower has acknowledged was sent; `sinceMs`: older is silence. */
export function countsForZone(
  { self, catalog }: Pick<NodeContext, 'self' | 'catalog'>,
  home: NodeId,
  heard: ReadonlyMap<NodeId, number>,
  sinceMs: number,
): boolean {
  const zoneOf = (of: NodeId): string | undefined => catalog.member(of)?.zone
  const own = zoneOf(self)
  if (home === self || zoneOf(home) !== own) return true
  return ![...heard].some(([other, sentMs]) => zoneOf(other) !== own && sentMs >= sinceMs)
}
