/**
 * How a node that is started with `--join` becomes a member: it asks those it was told of, and those it knows,
 * one after the other, at every start. The answer says what the cluster was formed with and who holds its
 * registers now, which is what a node needs that took no part in the forming.
 */

import { QuorateError } from '../base/errors.ts'
import type { NodeId, OperationId, PeerId } from '../base/ids.ts'
import type { Catalog } from '../catalog/catalog.ts'
import { decodeMembers, type MembersState } from '../catalog/cluster-state.ts'
import type { Clock } from '../ports/clock.ts'
import { pause } from '../ports/pause.ts'
import { decodeGenesis, type Genesis } from '../register/genesis.ts'
import { decodeConfig, type RegisterConfig } from '../register/register-config.ts'
import type { Store } from '../store/store-face.ts'
import { joinMessage } from '../wire/messages.ts'
import type { Rpc } from '../wire/rpc.ts'
import type { JoinConfig, NodeConfig } from './node-config.ts'

const JOIN_MS = 5_000
const RETRY_MS = 500
/** What asking again does not mend; it is asked again all the same: the other side may change its mind. */
const REFUSED: ReadonlySet<string> = new Set(['WRONG_CLUSTER', 'CONFLICT', 'BAD_REQUEST'])

export interface JoiningOptions {
  readonly config: NodeConfig
  readonly join: JoinConfig
  readonly store: Store
  readonly rpc: Rpc
  readonly clock: Clock
  readonly catalog: Catalog
  readonly operation: OperationId
  readonly isOver: () => boolean
  /** The cluster does not take this node. */
  readonly onRefused: (error: QuorateError) => void
}

export interface Joined {
  readonly by: NodeId
  /** Of registers on the nodes; undefined when they are held elsewhere. */
  readonly origin: { readonly genesis: Genesis; readonly voters: RegisterConfig } | undefined
  readonly members: MembersState
}

/** Undefined: it was over before anyone let the node in. */
export async function askToJoin(options: JoiningOptions): Promise<Joined | undefined> {
  const { config, join, clock, catalog, rpc, isOver, onRefused } = options
  const self = config.members[0]!
  for (let turn = 0; !isOver(); turn++) {
    const known = catalog.members.members
      .filter(member => member.id !== self.id)
      .map(member => ({ peer: member.id as string as PeerId, address: member.address }))
    const seeds = [...join.seeds, ...known]
    const { peer, address } = seeds[turn % seeds.length]!
    rpc.route(peer, address)
    try {
      return await ask(options, peer)
    } catch (error) {
      if (!(error instanceof QuorateError)) throw error
      if (REFUSED.has(error.code)) {
        const message = `${address} refuses to let ${self.id} join: ${error.message}`
        onRefused(new QuorateError(error.code, message, { data: error.data }))
      }
      await pause(clock, RETRY_MS)
    }
  }
  return undefined
}

async function ask({ config, join, store, rpc, operation }: JoiningOptions, peer: PeerId): Promise<Joined> {
  const { id: node, address, http, zone, region, weight } = config.members[0]!
  const { incarnation } = store
  const { cluster, newZone } = join
  const request = { operation, cluster, node, incarnation, address, http, zone, region, weight, newZone }
  const reply = await rpc.request(peer, joinMessage, request, JOIN_MS)
  const origin =
    reply.genesis.length === 0
      ? undefined
      : { genesis: decodeGenesis(reply.genesis), voters: decodeConfig(reply.voters) }
  return { by: peer as string as NodeId, origin, members: decodeMembers(reply.members) }
}
