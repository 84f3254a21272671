/** Whether a node may join: pure, decided against the members as they are. */

import { isQuorateError, QuorateError } from '../base/errors.ts'
import { compareStrings } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import type { Member, MembersState } from '../catalog/cluster-state.ts'
import type { JoinRequest } from '../wire/messages.ts'
import { nodeConfigProblems } from './node-config.ts'
import { weight } from './staged-changes.ts'

const conflict = (message: string): QuorateError => new QuorateError('CONFLICT', message)

export function refuseOtherCluster({ node, cluster: asked }: JoinRequest, cluster: string): void {
  if (asked === '' || asked === cluster) return
  throw new QuorateError(
    'WRONG_CLUSTER',
    `"${node}" was told to join cluster ${asked}, this is cluster ${cluster}`,
    { data: { cluster, asked } },
  )
}

/** As a change of the members: the members after it, or the reason it may not. */
export function admission(members: MembersState, request: JoinRequest): MembersState | string {
  try {
    const after = admitted(members, request)
    return after === 'known' ? members : { ...members, members: after }
  } catch (error) {
    if (!isQuorateError(error)) throw error
    return error.message
  }
}

/** The members with the newcomer among them, staged; `known` when this store is a member already. Throws why it may not. */
export function admitted(state: MembersState, request: JoinRequest): Member[] | 'known' {
  const { node: id, incarnation, address, http, zone, region } = request
  if (state.removed.some(gone => gone.incarnation === incarnation)) {
    throw conflict(
      `this store belonged to a member that was removed: its rows are kept by others now. Start "${id}" with an empty data directory`,
    )
  }
  const own = state.members.find(member => member.id === id)
  if (own !== undefined && own.incarnation === incarnation) return 'known'
  // At the address of the member there is no other: it has lost its disk, and is rebuilt from its peers.
  if (own !== undefined && own.state !== 'staged' && own.address === address) return 'known'
  if (own !== undefined && own.state !== 'staged')
    throw conflict(`there is a member "${id}" already, with another store: choose another id, or replace it`)
  const [problem] = nodeConfigProblems({ id, members: [{ id, address, http, zone, region, weight: 1 }] })
  if (problem !== undefined) throw new QuorateError('BAD_REQUEST', `${problem.field}: ${problem.message}`)
  const zones = [...new Set(state.members.map(member => member.zone))].sort(compareStrings)
  if (!zones.includes(zone) && !request.newZone)
    throw new QuorateError(
      'BAD_REQUEST',
      `zone: no member is in zone "${zone}"; the zones are ${zones.join(', ')}. Name one of these with --zone (without it a node is in a zone of its own), or start it with --new-zone`,
      { data: { field: 'zone' } },
    )
  const other = state.members.find(member => member.id !== id && member.address === address)
  if (other !== undefined) throw conflict(`the address ${address} is that of member "${other.id}"`)
  if (state.members.length >= limits.membersMax)
    throw conflict(`the cluster has ${limits.membersMax} members, which is the limit`)
  const member: Member = {
    id,
    incarnation,
    address,
    http,
    zone,
    region,
    weight: weight(request.weight),
    tokens: [],
    state: 'staged',
  }
  return [...state.members.filter(known => known.id !== id), member].sort((a, b) =>
    compareStrings(a.id, b.id),
  )
}
