/**
 * The decoder against anyone: mutated, truncated, random and deeply nested frames. Every frame either
 * decodes or is refused with BAD_FRAME, nothing else is thrown, and the receiver goes on serving.
 */

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isQuorateError } from '../base/errors.ts'
import type { PeerId } from '../base/ids.ts'
import { randomBelow, SeededRandom } from '../base/prng.ts'
import { decodeCell, encodeCell } from '../cells/cell-codec.ts'
import { decodeContextToken, encodeContextToken } from '../cells/context-token.ts'
import { decodeDocument, encodeDocument } from '../cells/document.ts'
import type { FrameReceiver } from '../ports/transport.ts'
import { ByteReader } from './byte-reader.ts'
import { ByteWriter } from './byte-writer.ts'
import { allMessages, readMessage, writeMessage } from './messages.ts'
import { Rpc } from './rpc.ts'

const clock = {
  wallMs: () => 0,
  monotonicMs: () => 0,
  setTimer: () => ({ cancel: () => {} }),
  defer: (run: () => void) => run(),
}
const context = [{ actor: 'actor-A0', intervals: [5, 9, 20, 20] }] as never
const cell = encodeCell({
  context,
  superseded: ['0123456789abcdee' as never],
  values: [
    {
      actor: 'actor-A0' as never,
      stamp: 9 as never,
      operation: '0123456789abcdef' as never,
      value: encodeDocument({ a: [1, 'x'] }),
    },
  ],
})

const writeRequest = {
  table: 1,
  mapVersion: 3,
  partitionKey: '\x10k\0\x01',
  sortKey: '',
  level: 0,
  hops: 0,
  operation: '0123456789abcdef',
  value: encodeDocument({ id: 'k', n: 1 }),
  context: encodeContextToken({ context, operations: [] }, 'r-key' as never),
  strict: false,
} as never

function requestFrame(body: (writer: ByteWriter) => void, type: number, kind = 0): Uint8Array {
  const writer = new ByteWriter()
  writer.u8(kind)
  writer.varint(7)
  writer.u8(type)
  writer.varint(1_000)
  body(writer)
  return writer.take()
}

function receiver(): { sent: Uint8Array[]; feed: (frame: Uint8Array) => void; handled: () => number } {
  const sent: Uint8Array[] = []
  let endpoint: FrameReceiver | undefined
  let handled = 0
  const rpc = new Rpc(
    {
      send: (_, frame) => sent.push(frame),
      serve: r => {
        endpoint = r
      },
      route: () => {},
      close: async () => {},
    },
    clock,
  )
  for (const message of allMessages) {
    rpc.handle(message as never, (_: never, respond: { fail(error: unknown): void }) => {
      handled++
      respond.fail(new Error('handled'))
    })
  }
  return { sent, feed: frame => endpoint!.frame('fuzz' as PeerId, frame), handled: () => handled }
}

const seeds: Uint8Array[] = [
  requestFrame(w => writeMessage.request.write(w, writeRequest), writeMessage.type),
  requestFrame(
    w => readMessage.request.write(w, { ...(writeRequest as object), staleMs: 7 } as never),
    readMessage.type,
  ),
]

function mutate(random: SeededRandom, frame: Uint8Array): Uint8Array {
  const out = Uint8Array.from(frame)
  const edits = 1 + randomBelow(random, 4)
  let result = out
  for (let i = 0; i < edits; i++) {
    switch (randomBelow(random, 5)) {
      case 0:
        result[randomBelow(random, result.length)] = random.uint32() & 255
        break
      case 1:
        result[randomBelow(random, result.length)]! ^= 1 << randomBelow(random, 8)
        break
      case 2:
        result = result.slice(0, Math.max(1, randomBelow(random, result.length)))
        break
      case 3:
        result[randomBelow(random, result.length)] = 0xff
        break
      default: {
        const at = randomBelow(random, result.length)
        result = Uint8Array.from([...result.slice(0, at), random.uint32() & 255, ...result.slice(at)])
      }
    }
  }
  return result
}

describe('frames from anyone', () => {
  it('100,000 mutated frames: decoded or refused, never a crash, and the next good one is served', () => {
    const random = new SeededRandom(20_261)
    const { sent, feed, handled } = receiver()
    let fed = 0
    for (let i = 0; i < 100_000; i++) {
      feed(mutate(random, seeds[i % seeds.length]!))
      fed++
      if (i % 1_000 === 0) {
        const before = handled()
        feed(seeds[0]!)
        expect(handled()).toBe(before + 1)
      }
      sent.length = 0
    }
    expect(fed).toBe(100_000)
    expect(handled()).toBeGreaterThan(100)
  })

  it('random bytes for every message type', () => {
    const { feed } = receiver()
    fc.assert(
      fc.property(fc.constantFrom(...allMessages), fc.uint8Array({ maxLength: 200 }), (message, body) => {
        feed(requestFrame(w => w.raw(body), message.type))
        feed(requestFrame(w => w.raw(body), message.type, 1))
        feed(requestFrame(w => w.raw(body), message.type, 2))
        feed(body)
      }),
      { numRuns: 20_000 },
    )
  })

  it('a malformed request is answered with BAD_FRAME under its own call id', () => {
    const { sent, feed } = receiver()
    feed(seeds[0]!.slice(0, 20))
    const reader = new ByteReader(sent[0]!)
    expect(reader.u8()).toBe(2)
    expect(reader.varint()).toBe(7)
  })

  it('a length that is longer than the frame allocates nothing', () => {
    const { feed } = receiver()
    feed(
      requestFrame(w => {
        w.u32(1)
        w.varint(1)
        w.varint(2 ** 40)
      }, 33),
    )
  })
})

describe('cells, tokens and documents from anyone', () => {
  const decodes: [string, Uint8Array, (bytes: Uint8Array) => unknown, readonly string[]][] = [
    ['cells', cell, decodeCell, ['BAD_FRAME']],
    [
      'context tokens',
      encodeContextToken({ context, operations: [] }, 'r-key' as never),
      decodeContextToken,
      ['BAD_CONTEXT'],
    ],
    [
      'documents',
      encodeDocument({ a: [1, 2n ** 60n, new Set(['x'])], b: { c: new Uint8Array(3) } }),
      decodeDocument,
      ['BAD_REQUEST'],
    ],
  ]
  it.each(decodes)('%s: 20,000 mutations decode or are refused by name', (_, good, decode, codes) => {
    const random = new SeededRandom(7)
    for (let i = 0; i < 20_000; i++) {
      const bytes = mutate(random, good)
      try {
        decode(bytes)
      } catch (error) {
        if (!isQuorateError(error)) throw error
        expect(codes).toContain(error.code)
      }
    }
  })

  it('what decodes as a cell is canonical: it encodes to the same bytes', () => {
    const random = new SeededRandom(11)
    for (let i = 0; i < 20_000; i++) {
      const bytes = mutate(random, cell)
      try {
        expect(encodeCell(decodeCell(bytes))).toEqual(bytes)
      } catch (error) {
        if (!isQuorateError(error)) throw error
      }
    }
  })

  it('deep nesting is refused on both sides', () => {
    let deep: unknown = 1
    for (let i = 0; i < 100; i++) deep = [deep]
    expect(() => encodeDocument(deep)).toThrow(/nested deeper/)
    const hostile = new Uint8Array(200_000).fill(0x91)
    expect(() => decodeDocument(hostile)).toThrow()
  })
})
