/** Who holds the registers: active members, an odd number of them, on the stores they run on now. */

import type { NodeId } from '../base/ids.ts'
import type { Member } from '../catalog/cluster-state.ts'
import { ConfigChange } from '../register/config-change.ts'
import type { Proposer } from '../register/proposer.ts'
import type { Voter } from '../register/register-config.ts'
import type { Store } from '../store/store-face.ts'
import { votersOf } from './node-config.ts'

const CONFIG_CHANGE_MS = 10_000

/** As many as an odd number up to five allows; those that hold them already keep them. False: not so yet. */
export async function settleVoters(proposer: Proposer, eligible: readonly Member[]): Promise<boolean> {
  const { acceptors, joint } = proposer.config
  const count = votersOf(eligible.length)
  const kept = acceptors.filter(voter => eligible.some(member => member.id === voter.node)).slice(0, count)
  const others = eligible.filter(member => !kept.some(voter => voter.node === member.id))
  const nodes = [...kept.map(voter => voter.node), ...others.map(member => member.id)].slice(0, count)
  const isSettled = nodes.length === acceptors.length && kept.length === acceptors.length
  if (joint === undefined && isSettled) return true
  return change(
    proposer,
    nodes.map(node => ({ node, incarnation: eligible.find(member => member.id === node)!.incarnation })),
  )
}

/** A voter on a new disk is a new acceptor: the old one must go and this one come, by a change of acceptors. */
export async function replaceOwnAcceptor(proposer: Proposer, self: NodeId, store: Store): Promise<boolean> {
  const { acceptors, joint } = proposer.config
  const inForce = acceptors.find(id => id.node === self)
  if (joint === undefined && (inForce === undefined || inForce.incarnation === store.incarnation)) return true
  return change(
    proposer,
    acceptors.map(id => ({
      node: id.node,
      incarnation: id.node === self ? store.incarnation : id.incarnation,
    })),
  )
}

async function change(proposer: Proposer, target: readonly Voter[]): Promise<boolean> {
  const outcome = await new ConfigChange(proposer, proposer.clock.monotonicMs() + CONFIG_CHANGE_MS).run(
    target,
  )
  return outcome.kind === 'done'
}
