import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { ByteString, Incarnation } from '../base/ids.ts'
import { contextCovers } from '../causality/context.ts'
import { ByteReader } from '../wire/byte-reader.ts'
import {
  causesOf,
  contextOf,
  emptySession,
  encodeSession,
  excessRows,
  fits,
  isSettled,
  ledEntryOf,
  mergeSessions,
  readSession,
  type SessionState,
  settle,
  withLed,
  withRow,
} from './session-state.ts'
import { joinTokens, openSession, peekSession, sealSession, tokensOf, uniteTokens } from './session-token.ts'

const seal = { clusterId: 'blue', key: new Uint8Array(32).fill(7) }
const rowKey = (table: number, name: string): ByteString =>
  `r\0\0\0${String.fromCharCode(table)}\0\0\0\0${name}` as ByteString
const actor = (n: number): Incarnation => `actor00${n}` as Incarnation

const seen = fc.record({
  table: fc.integer({ min: 1, max: 3 }),
  name: fc.constantFrom('a', 'b', 'c'),
  actor: fc.integer({ min: 0, max: 2 }),
  from: fc.integer({ min: 1, max: 30 }),
  length: fc.integer({ min: 0, max: 5 }),
})
const led = fc.record({
  table: fc.integer({ min: 4, max: 5 }),
  partition: fc.integer({ min: 0, max: 2 }),
  epoch: fc.integer({ min: 1, max: 3 }),
  position: fc.integer({ min: 0, max: 9 }),
})
const state = fc
  .record({
    rows: fc.array(seen, { maxLength: 6 }),
    led: fc.array(led, { maxLength: 4 }),
    gone: fc.boolean(),
  })
  .map(({ rows, led, gone }) => {
    let made: SessionState = emptySession
    for (const { table, name, actor: n, from, length } of rows)
      made = withRow(made, rowKey(table, name), [{ actor: actor(n), intervals: [from, from + length] }])
    for (const entry of led) made = withLed(made, entry)
    return gone ? settle(made, made.rows.slice(0, 1)) : made
  })
const bytes = (of: SessionState): string => Buffer.from(encodeSession(of)).toString('hex')

describe('what a session has seen', () => {
  it('merging is commutative, associative and idempotent, down to its bytes', () => {
    fc.assert(
      fc.property(state, state, state, (a, b, c) => {
        expect(bytes(mergeSessions(a, b))).toBe(bytes(mergeSessions(b, a)))
        expect(bytes(mergeSessions(a, mergeSessions(b, c)))).toBe(
          bytes(mergeSessions(mergeSessions(a, b), c)),
        )
        expect(bytes(mergeSessions(a, a))).toBe(bytes(a))
      }),
    )
  })

  it('merging forgets nothing', () => {
    fc.assert(
      fc.property(state, state, (a, b) => {
        const both = mergeSessions(a, b)
        for (const { key, context } of [...a.rows, ...b.rows])
          expect(contextCovers(contextOf(both, key), context)).toBe(true)
        for (const entry of [...a.led, ...b.led]) {
          const kept = ledEntryOf(both, entry.table, entry.partition)!
          expect([kept.epoch, kept.position] >= [entry.epoch, entry.position]).toBe(true)
        }
        for (const table of [...a.settled, ...b.settled]) expect(isSettled(both, table as never)).toBe(true)
      }),
    )
  })

  it('what is encoded is decoded to the same', () => {
    fc.assert(
      fc.property(state, given => {
        expect(bytes(readSession(new ByteReader(encodeSession(given))))).toBe(bytes(given))
      }),
    )
  })

  it('a later epoch beats a greater position', () => {
    const earlier = withLed(emptySession, { table: 4, partition: 0, epoch: 1, position: 900 })
    const later = withLed(earlier, { table: 4, partition: 0, epoch: 2, position: 3 })
    expect(ledEntryOf(later, 4, 0)).toEqual({ table: 4, partition: 0, epoch: 2, position: 3 })
  })

  it('the rows seen longest ago are too many first, and settling leaves their table marked', () => {
    const at = (stamp: number) => [{ actor: actor(1), intervals: [stamp, stamp] }]
    const three = withRow(
      withRow(withRow(emptySession, rowKey(1, 'a'), at(30)), rowKey(2, 'b'), at(10)),
      rowKey(1, 'c'),
      at(20),
    )
    expect(excessRows(three, 3, 10_000)).toEqual([])
    const oldest = excessRows(three, 1, 10_000)
    expect(oldest.map(({ key }) => key)).toEqual([rowKey(2, 'b'), rowKey(1, 'c')])
    expect(excessRows(three, 3, 60).length).toBeGreaterThan(0)
    expect(fits(three, 3, 10_000) && !fits(three, 2, 10_000) && !fits(three, 3, 60)).toBe(true)
    const left = settle(three, oldest)
    expect(left.rows.map(({ key }) => key)).toEqual([rowKey(1, 'a')])
    expect(left.settled).toEqual([1, 2])
  })

  it('a write is not its own cause', () => {
    const one = withRow(emptySession, rowKey(1, 'a'), [{ actor: actor(1), intervals: [5, 5] }])
    expect(causesOf(one, rowKey(1, 'a'))).toBeUndefined()
    expect(causesOf(one, rowKey(1, 'b'))).toEqual(encodeSession(one))
  })
})

describe('tokens', () => {
  const some = withRow(emptySession, rowKey(1, 'a'), [{ actor: actor(1), intervals: [5, 9] }])
  const other = withRow(emptySession, rowKey(1, 'b'), [{ actor: actor(2), intervals: [3, 3] }])
  const refused = (run: () => unknown) => {
    try {
      run()
    } catch (error) {
      return error
    }
    return undefined
  }

  it('what was sealed is opened', () => {
    fc.assert(
      fc.property(state, given => {
        expect(bytes(openSession(sealSession(given, seal), seal))).toBe(bytes(given))
        expect(bytes(peekSession(sealSession(given, seal)))).toBe(bytes(given))
      }),
    )
  })

  it('every change of a single bit is refused', () => {
    const bundle = sealSession(some, seal)
    for (let bit = 0; bit < bundle.length * 8; bit++) {
      const forged = bundle.slice()
      forged[bit >> 3]! ^= 1 << (bit & 7)
      expect(refused(() => openSession(forged, seal))).toMatchObject({
        code: 'BAD_SESSION',
        outcome: 'not-applied',
      })
    }
  })

  it('a cut or prolonged one is refused; one of no tokens is a new session', () => {
    const bundle = sealSession(some, seal)
    expect(openSession(joinTokens([]), seal)).toEqual(emptySession)
    for (let length = 0; length < bundle.length; length++)
      expect(refused(() => openSession(bundle.subarray(0, length), seal))).toMatchObject({
        code: 'BAD_SESSION',
      })
    expect(refused(() => openSession(new Uint8Array([...bundle, 0]), seal))).toMatchObject({
      code: 'BAD_SESSION',
    })
  })

  it('one of another cluster is refused by name, also under the same key; another key is refused', () => {
    const bundle = sealSession(some, { ...seal, clusterId: 'green' })
    expect(refused(() => openSession(bundle, seal))).toMatchObject({
      code: 'BAD_SESSION',
      message: expect.stringContaining('of the cluster "green"'),
    })
    expect(
      refused(() => openSession(sealSession(some, seal), { ...seal, key: new Uint8Array(32) })),
    ).toMatchObject({ code: 'BAD_SESSION', message: expect.stringContaining('seal') })
  })

  it('a bundle says what its tokens say together; one bad token and nothing is believed', () => {
    const [a] = tokensOf(sealSession(some, seal))
    const [b] = tokensOf(sealSession(other, seal))
    expect(bytes(openSession(joinTokens([a!, b!]), seal))).toBe(bytes(mergeSessions(some, other)))
    expect(uniteTokens([a!, b!], [b!])).toHaveLength(2)
    const forged = b!.slice()
    forged[5]! ^= 1
    expect(refused(() => openSession(joinTokens([a!, forged]), seal))).toMatchObject({ code: 'BAD_SESSION' })
  })
})
