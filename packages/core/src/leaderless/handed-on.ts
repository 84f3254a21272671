import type { NodeId } from '../base/ids.ts'
import type { WireReceipt } from '../wire/messages.ts'

/** The reply of another node to what was handed to it: the receipt says so. */
export function handedOn<Reply extends { receipt: WireReceipt }>(reply: Reply, by: NodeId): Reply {
  return { ...reply, receipt: { ...reply.receipt, via: [by, ...reply.receipt.via] } }
}
