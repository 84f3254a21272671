/** The suite itself is tried on a transport so small that it is right at a glance, and on broken ones. */

import { expect, test } from 'vitest'
import type { PeerId } from '../base/ids.ts'
import { type TransportSubject, transportConformance } from './transport.conformance.ts'
import type { FrameReceiver, Transport } from './transport.ts'

type Fault =
  | 'delivers inside send'
  | 'loses the empty frame'
  | 'throws on unknown peers'
  | 'keeps early frames'
  | 'is silent about losses'

function network(fault?: Fault): TransportSubject {
  const receivers = new Map<PeerId, FrameReceiver>()
  const stopped = new Set<PeerId>()
  const early: (() => void)[] = []
  let queue: (() => void)[] = []

  const end = (self: PeerId): Transport => ({
    send(to, frame) {
      if (stopped.has(self)) return
      if (fault === 'throws on unknown peers' && !ends.some(other => other.peer === to)) throw new Error(to)
      if (fault === 'loses the empty frame' && frame.length === 0) return
      const deliver = (): void => {
        const known = ends.some(other => other.peer === to) && !stopped.has(to)
        if (known && !receivers.has(to) && fault === 'keeps early frames') early.push(deliver)
        else if (known) receivers.get(to)?.frame(self, frame)
        else if (fault !== 'is silent about losses') receivers.get(self)?.unreachable(to)
      }
      if (fault === 'delivers inside send') deliver()
      else queue.push(deliver)
    },
    serve(receiver) {
      receivers.set(self, receiver)
      queue.push(...early.splice(0))
    },
    route() {},
    async close() {
      stopped.add(self)
    },
  })
  const ends = (['a', 'b', 'c'] as PeerId[]).map(peer => ({ peer, transport: end(peer) }))
  return {
    ends,
    async settle() {
      while (queue.length > 0) {
        const due = queue
        queue = []
        for (const run of due) run()
      }
    },
    async stop(peer) {
      stopped.add(peer)
    },
    async dispose() {},
  }
}

for (const { name, run } of transportConformance) {
  test(`a plain queue: ${name}`, () => run(async () => network()))
}

const faults: Fault[] = [
  'delivers inside send',
  'loses the empty frame',
  'throws on unknown peers',
  'keeps early frames',
  'is silent about losses',
]
for (const fault of faults) {
  test(`a transport that ${fault} is caught`, async () => {
    const results = await Promise.allSettled(
      transportConformance.map(({ run }) => run(async () => network(fault))),
    )
    expect(results.some(({ status }) => status === 'rejected')).toBe(true)
  })
}
