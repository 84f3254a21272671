/** Shapes of what registers, genesis and gossip say to each other. */

import type { ByteString, Incarnation } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import type { GossipMessage } from '../membership/gossip-state.ts'
import type { GenesisMessage } from '../register/genesis.ts'
import type { AcceptorReply, AcceptorRequest } from '../register/register-messages.ts'
import * as s from './schema.ts'

const registerKey = s.byteString<ByteString>(256)
/** Registers wrap their value with operation ids. */
const registerValue = s.optional(s.bytes(limits.registerBytesMax + 64 * 1024))
/** Eight bytes, or none in the zero ballot. */
const incarnation = s.byteString<Incarnation>(8)
const ballot = s.record({ counter: s.count, node: s.node, incarnation, life: s.count })
const acceptorId = s.record({ node: s.node, incarnation, joined: s.count })
const config = s.record({
  epoch: s.count,
  acceptors: s.list(acceptorId, limits.membersMax),
  joint: s.optional(s.list(acceptorId, limits.membersMax)),
})
const addressed = { incarnation, joined: s.count, epoch: s.count } as const

export const acceptorRequestSchema: s.Schema<AcceptorRequest> = s.variants({
  prepare: s.record({ ...addressed, key: registerKey, ballot }),
  peek: s.record({ ...addressed, key: registerKey }),
  accept: s.record({ ...addressed, key: registerKey, ballot, value: registerValue }),
  erase: s.record({ ...addressed, key: registerKey, ballot }),
  keys: s.record({ ...addressed, after: s.optional(registerKey), limit: s.count }),
  fence: s.record({ incarnation, config, erasedFloor: s.count }),
})

export const acceptorReplySchema: s.Schema<AcceptorReply> = s.variants({
  promised: s.record({ accepted: ballot, value: registerValue }),
  peeked: s.record({ promised: ballot, accepted: ballot, value: registerValue }),
  accepted: s.record({}),
  refused: s.record({ counter: s.count }),
  erased: s.record({}),
  kept: s.record({}),
  keys: s.record({ keys: s.list(registerKey, 10_000), done: s.flag, erasedFloor: s.count }),
  fenced: s.record({ epoch: s.count, erasedFloor: s.count }),
  'stale-config': s.record({ config }),
  behind: s.record({ epoch: s.count }),
  'wrong-incarnation': s.record({ incarnation, joined: s.count, config: s.optional(config) }),
  unavailable: s.record({}),
})

const voter = s.record({ node: s.node, incarnation })
const genesis = s.record({ clusterId: s.text(32), voters: s.list(voter, limits.membersMax) })

export const genesisMessageSchema: s.Schema<GenesisMessage> = s.variants({
  hello: s.record({ incarnation, echo: s.optional(incarnation), genesis: s.optional(genesis) }),
  'genesis-proposal': s.record({ genesis }),
  'genesis-taken': s.record({ incarnation, clusterId: s.text(32) }),
})

const gossipValue: s.Schema<string | number> = {
  shape: '(f64|text)',
  write: (w, v) => {
    w.u8(typeof v === 'number' ? 0 : 1)
    if (typeof v === 'number') w.f64(v)
    else w.text(v)
  },
  read: r => (s.flag.read(r) ? r.text(4096) : r.f64()),
}
const digestEntry = s.record({
  node: s.node,
  generation: s.count,
  heartbeat: s.count,
  version: s.count,
  collected: s.count,
})
const nodeDelta = s.record({
  node: s.node,
  generation: s.count,
  heartbeat: s.count,
  reset: s.flag,
  from: s.count,
  to: s.count,
  version: s.count,
  collected: s.count,
  entries: s.list(s.record({ key: s.text(256), value: s.optional(gossipValue), version: s.count }), 10_000),
})

export const gossipSchema: s.Schema<GossipMessage> = s.variants({
  syn: s.record({ digest: s.list(digestEntry, limits.membersMax) }),
  synack: s.record({
    digest: s.list(digestEntry, limits.membersMax),
    delta: s.list(nodeDelta, limits.membersMax),
  }),
  ack: s.record({ delta: s.list(nodeDelta, limits.membersMax) }),
})
