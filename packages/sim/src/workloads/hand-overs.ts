/** As an operator asks for it: another replica leads. */

import { isQuorateError, moveLeaderMessage, type PeerId, randomPick, type SeededRandom } from '@quorate/core'
import type { SimCluster } from '../world/sim-cluster.ts'

/** True: some partition has another leader. */
export async function handOver(cluster: SimCluster, random: SeededRandom): Promise<boolean> {
  const tell = (message: string): void => cluster.simulation.tell(message)
  const machine = randomPick(random, cluster.machines)
  const held = machine.node?.leaders.partitions.held().filter(({ seat }) => seat.leading !== undefined) ?? []
  if (held.length === 0) return false
  const { seat, partition } = randomPick(random, held)
  const to = randomPick(random, partition.holders)
  const { epoch } = seat.leading!
  const request = { table: seat.place.table as number, partition: partition.id, epoch, to }
  const from = machine.node!.context.rpc
  try {
    const reply = await from.request(machine.id as string as PeerId, moveLeaderMessage, request, 3_000)
    tell(`partition ${partition.id} handed from ${machine.id} to ${to}: epoch ${reply.epoch}`)
    return true
  } catch (error) {
    if (!isQuorateError(error)) throw error
    tell(`partition ${partition.id} not handed to ${to}: ${error.message}`)
    return false
  }
}
