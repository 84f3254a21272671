/** Requests about tables whose writes are ordered, to whoever orders them. */

import { isAgreed } from '../catalog/table-descriptor.ts'
import type { LedRequests } from '../leaderless/led-requests.ts'
import type { Routed } from '../leaderless/partition-doors.ts'

export function orderedRequests(led: LedRequests, agreed: LedRequests): LedRequests {
  const of = ({ view }: Routed): LedRequests => (isAgreed(view.descriptor) ? agreed : led)
  return {
    change: (message, request, routed, ...more) => of(routed).change(message, request, routed, ...more),
    read: (routed, ...more) => of(routed).read(routed, ...more),
    range: (routed, ...more) => of(routed).range(routed, ...more),
  }
}
