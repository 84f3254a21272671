/** When everything is whole again: the logs of a partition's replicas are the same, as far back as both still have it. */

import { bytesEqual, ledOf } from '@quorate/core'
import type { SimCluster } from '../world/sim-cluster.ts'
import { differences } from './convergence.ts'
import { leftBehind } from './maps.ts'

export function ledDifferences(cluster: SimCluster, limit = 5): string[] {
  const found: string[] = []
  for (const { node, id, state } of cluster.machines) if (node === undefined) found.push(`${id} is ${state}`)
  found.push(...leftBehind(cluster))
  if (found.length > 0) return found
  for (const view of cluster.machines[0]!.node!.catalog.views()) {
    if (ledOf(view.descriptor) === undefined) continue
    for (const { id, holders, lead } of view.map.partitions) {
      const where = `${view.descriptor.name} partition ${id}`
      const held = holders.map(home => {
        const { node } = cluster.machine(home)
        return { home, seat: node?.leaders.partitions.find(view.descriptor.id, id)?.seat }
      })
      const leader = held.find(({ home }) => home === lead?.leader)?.seat
      if (leader?.leading?.isServing !== true) {
        found.push(`${where}: ${lead?.leader ?? 'nobody'} leads epoch ${lead?.epoch} and does not serve`)
        continue
      }
      for (const { home, seat } of held) {
        const why = seat === undefined ? 'keeps nothing' : differing(leader.replica, seat.replica)
        if (why !== undefined) found.push(`${where}: ${home} ${why}`)
      }
      if (found.length >= limit) return found
    }
  }
  return found.length > 0 ? found : differences(cluster, limit)
}

type Replica = NonNullable<
  ReturnType<NonNullable<SimCluster['machines'][number]['node']>['leaders']['partitions']['find']>
>['seat']['replica']

function differing(leader: Replica, other: Replica): string | undefined {
  const [a, b] = [leader.log, other.log]
  if (a.end.epoch !== b.end.epoch || a.end.position !== b.end.position)
    return `ends at ${b.end.epoch}/${b.end.position}, its leader at ${a.end.epoch}/${a.end.position}`
  if (other.carriedOut !== leader.carriedOut)
    return `has carried out ${other.carriedOut} of ${leader.carriedOut} entries`
  if (!other.isWhole) return 'is being filled'
  for (let at = Math.max(a.first, b.first); at <= a.end.position; at++) {
    const [x, y] = [a.entry(at), b.entry(at)]
    if (x.epoch !== y.epoch || !bytesEqual(x.body, y.body)) return `has another entry ${at}`
  }
  return undefined
}
