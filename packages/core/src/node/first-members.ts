/** The members a cluster starts with: those of the configuration, each with its tokens. */

import type { Incarnation } from '../base/ids.ts'
import { type MembersState, noMembers } from '../catalog/cluster-state.ts'
import { allocateTokens } from '../partitioning/token-allocation.ts'
import type { Voter } from '../register/register-config.ts'
import type { NodeConfig } from './node-config.ts'

/** Of a member that has not announced its store yet. */
export const noIncarnation = '\0\0\0\0\0\0\0\0' as Incarnation

export function firstMembers({ members, tuning }: NodeConfig, voters: readonly Voter[]): MembersState {
  const tokens = allocateTokens(members, [], {
    tokensPerNode: tuning.tokensPerNode,
    replicaCount: 3,
    random: tuning.randomTokens,
  })
  return {
    ...noMembers,
    version: 1,
    members: members.map(member => ({
      ...member,
      state: 'active' as const,
      incarnation: voters.find(voter => voter.node === member.id)?.incarnation ?? noIncarnation,
      tokens: tokens.get(member.id)!,
    })),
  }
}
