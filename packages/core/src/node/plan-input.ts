/** What a plan is made of besides the registers: the weight of partitions, the room on nodes, who waits to join. */

import { QuorateError } from '../base/errors.ts'
import type { NodeId, PeerId } from '../base/ids.ts'
import type { StagedChange } from '../catalog/cluster-changes.ts'
import type { MembersState } from '../catalog/cluster-state.ts'
import type { NodeContext } from '../leaderless/node-context.ts'
import type { Measured, Plan } from '../movement/plan.ts'
import { measureMessage } from '../wire/messages.ts'

const MEASURE_MS = 10_000

export interface MeasuredCluster {
  /** By `table/partition`. */
  readonly measured: ReadonlyMap<string, Measured>
  readonly freeBytes: ReadonlyMap<NodeId, number>
  /** Members that did not answer everything they were asked. */
  readonly silent: ReadonlySet<NodeId>
}

/** Rows and bytes of each partition as its homes count them, and the room on each node. */
export async function measureCluster({ catalog, rpc, isSuspected }: NodeContext): Promise<MeasuredCluster> {
  const silent = new Set(catalog.members.members.filter(({ id }) => isSuspected(id)).map(({ id }) => id))
  const measured = new Map<string, Measured>()
  const freeBytes = new Map<NodeId, number>()
  const members = catalog.members.members.filter(member => !isSuspected(member.id))
  await Promise.all(
    members.flatMap(member =>
      catalog.views().map(async view => {
        const table = view.descriptor.id
        const own = view.map.partitions
          .filter(partition => partition.settled.includes(member.id))
          .map(p => p.id)
        try {
          const reply = await rpc.request(
            member.id as string as PeerId,
            measureMessage,
            { table, partitions: own },
            MEASURE_MS,
          )
          if (reply.freeBytes > 0) freeBytes.set(member.id, reply.freeBytes)
          own.forEach((id, at) => {
            const known = measured.get(`${table}/${id}`)
            const found = reply.partitions[at]
            if (found !== undefined && found.rows > (known?.rows ?? -1)) measured.set(`${table}/${id}`, found)
          })
        } catch (error) {
          // It did not answer: others have the same partitions, and a plan that needs it says so.
          if (!(error instanceof QuorateError)) throw error
          silent.add(member.id)
        }
      }),
    ),
  )
  return { measured, freeBytes, silent }
}

/** Nodes that asked to join are in every plan until one of them is committed. */
export function withJoiners(staged: readonly StagedChange[], { members }: MembersState): StagedChange[] {
  const named = new Set(
    staged.flatMap(change =>
      change.kind === 'join' ? [change.node] : change.kind === 'replace' ? [change.by] : [],
    ),
  )
  const joiners = members.filter(member => member.state === 'staged' && !named.has(member.id))
  return [...staged, ...joiners.map(({ id }) => ({ kind: 'join' as const, node: id as string }))]
}

/** Would a commit change anything? */
export function planChangesNothing(plan: Plan, members: MembersState): boolean {
  const membersChange = plan.membersAfter.some(after => {
    const before = members.members.find(({ id }) => id === after.id)
    return before?.state !== after.state || before.weight !== after.weight
  })
  const cuts = plan.tables.some(table => table.splits.length + table.merges.length > 0)
  return plan.moves === 0 && !membersChange && !cuts && plan.removed.length === 0
}
