/** What every `Transport` does. Loss is allowed by the contract, so the network of these cases must be a healthy one. */

import { assert } from '../base/assert.ts'
import { bytesEqual } from '../base/bytes.ts'
import type { PeerId } from '../base/ids.ts'
import { type ConformanceCase, same } from './conformance-case.ts'
import type { Transport } from './transport.ts'

export interface TransportSubject {
  /** Two or three transports that know the way to each other. */
  readonly ends: readonly { readonly peer: PeerId; readonly transport: Transport }[]
  /** Waits until what was sent has arrived, or never will. */
  settle(): Promise<void>
  /** Makes a peer that is known unreachable from now on. */
  stop(peer: PeerId): Promise<void>
  dispose(): Promise<void>
}

interface Heard {
  readonly frames: { from: PeerId; frame: Uint8Array }[]
  readonly lost: PeerId[]
}

function listen(transport: Transport): Heard {
  const heard: Heard = { frames: [], lost: [] }
  transport.serve({
    frame: (from, frame) => heard.frames.push({ from, frame: frame.slice() }),
    unreachable: peer => heard.lost.push(peer),
  })
  return heard
}

const frameOf = (length: number, seed: number): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => (i * 131 + seed * 7 + (i >> 9)) & 255)

async function withSubject(
  make: () => Promise<TransportSubject>,
  run: (subject: TransportSubject) => Promise<void>,
): Promise<void> {
  const subject = await make()
  try {
    await run(subject)
  } finally {
    await subject.dispose()
  }
}

function contract(
  name: string,
  run: (subject: TransportSubject) => Promise<void>,
): ConformanceCase<TransportSubject> {
  return { name, run: make => withSubject(make, run) }
}

export const transportConformance: readonly ConformanceCase<TransportSubject>[] = [
  contract('frames reach the peer they name, with their sender, both ways, in any order', async subject => {
    const { ends, settle } = subject
    const heard = ends.map(end => listen(end.transport))
    ends.forEach((from, i) => {
      ends.forEach((to, j) => {
        if (i === j) return
        for (let n = 0; n < 20; n++) from.transport.send(to.peer, Uint8Array.of(i, j, n))
      })
    })
    await settle()
    ends.forEach((to, j) => {
      const expected = ends.flatMap((from, i) =>
        i === j ? [] : Array.from({ length: 20 }, (_, n) => `${from.peer}:${i},${j},${n}`),
      )
      const actual = heard[j]!.frames.map(({ from, frame }) => `${from}:${frame.join(',')}`)
      same(actual.sort(), expected.sort(), `frames at ${to.peer}`)
    })
  }),
  contract('frames of any size arrive unchanged: empty, one byte, up to 1 MiB', async subject => {
    const [a, b] = subject.ends
    assert(a !== undefined && b !== undefined, 'there are two ends')
    const heard = listen(b.transport)
    listen(a.transport)
    const sent = [0, 1, 2, 255, 4096, 65_535, 65_536, 300_001, 1024 * 1024].map(frameOf)
    for (const frame of sent) a.transport.send(b.peer, frame)
    await subject.settle()
    const sizes = heard.frames.map(({ frame }) => frame.length).sort((x, y) => x - y)
    same(
      sizes,
      sent.map(frame => frame.length),
      'sizes',
    )
    for (const frame of sent) {
      assert(
        heard.frames.some(other => bytesEqual(other.frame, frame)),
        'each frame arrived unchanged',
        frame.length,
      )
    }
  }),
  contract('nothing is delivered from inside send', async subject => {
    const [a, b] = subject.ends
    assert(a !== undefined && b !== undefined, 'there are two ends')
    const heard = [listen(a.transport), listen(b.transport)]
    a.transport.send(b.peer, frameOf(10, 1))
    a.transport.send('nobody' as PeerId, frameOf(10, 1))
    same(
      heard.map(each => [each.frames.length, each.lost.length]),
      [
        [0, 0],
        [0, 0],
      ],
      'heard inside send',
    )
    await subject.settle()
    same(heard[1]!.frames.length, 1, 'frames heard later')
  }),
  contract('handlers are called one at a time, also when they send', async subject => {
    const [a, b] = subject.ends
    assert(a !== undefined && b !== undefined, 'there are two ends')
    let inside = 0
    let answered = 0
    let nested = false
    b.transport.serve({
      frame: (from, frame) => {
        nested ||= inside > 0
        inside++
        b.transport.send(from, frame)
        inside--
      },
      unreachable: () => {},
    })
    a.transport.serve({
      frame: () => {
        nested ||= inside > 0
        answered++
      },
      unreachable: () => {},
    })
    for (let n = 0; n < 50; n++) a.transport.send(b.peer, Uint8Array.of(n))
    await subject.settle()
    same([answered, nested], [50, false], 'answers, and whether a handler ran inside another')
  }),
  contract('a peer nobody knows: no throw, and at most one notice', async subject => {
    const [a, b] = subject.ends
    assert(a !== undefined && b !== undefined, 'there are two ends')
    const heard = [listen(a.transport), listen(b.transport)]
    a.transport.send('nobody' as PeerId, frameOf(10, 1))
    await subject.settle()
    assert(heard[0]!.lost.length <= 1, 'at most one notice', heard[0]!.lost.length)
    a.transport.send(b.peer, frameOf(3, 1))
    await subject.settle()
    same(heard[1]!.frames.length, 1, 'frames to others still arrive')
  }),
  contract('a peer that stops: no throw, a notice that names it, others are not disturbed', async subject => {
    const [a, b, c] = subject.ends
    assert(a !== undefined && b !== undefined, 'there are two ends')
    const heard = listen(a.transport)
    listen(b.transport)
    const third = c === undefined ? undefined : listen(c.transport)
    a.transport.send(b.peer, frameOf(3, 1))
    await subject.settle()
    await subject.stop(b.peer)
    for (let n = 0; n < 5; n++) a.transport.send(b.peer, frameOf(3, n))
    await subject.settle()
    assert(heard.lost.includes(b.peer), 'the loss was told')
    assert(
      heard.lost.every(peer => peer === b.peer),
      'only the lost peer was named',
    )
    if (c === undefined || third === undefined) return
    a.transport.send(c.peer, frameOf(3, 9))
    await subject.settle()
    same(third.frames.length, 1, 'frames to the third')
  }),
  contract('frames that arrive before serve are dropped, those after are not', async subject => {
    const [a, b] = subject.ends
    assert(a !== undefined && b !== undefined, 'there are two ends')
    listen(a.transport)
    a.transport.send(b.peer, frameOf(3, 1))
    await subject.settle()
    const heard = listen(b.transport)
    await subject.settle()
    same(heard.frames.length, 0, 'early frames')
    a.transport.send(b.peer, frameOf(3, 2))
    await subject.settle()
    same(
      heard.frames.map(({ frame }) => frame),
      [frameOf(3, 2)],
      'later frames',
    )
  }),
  contract(
    'after close nothing is delivered, send still does not throw, close twice is fine',
    async subject => {
      const [a, b] = subject.ends
      assert(a !== undefined && b !== undefined, 'there are two ends')
      const heard = listen(a.transport)
      listen(b.transport)
      await a.transport.close()
      await a.transport.close()
      a.transport.send(b.peer, frameOf(3, 1))
      b.transport.send(a.peer, frameOf(3, 1))
      await subject.settle()
      same(heard.frames.length, 0, 'frames after close')
    },
  ),
]
