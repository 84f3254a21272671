/** Replicas under messages that come late, twice, and from leaders that are none any more. */

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isQuorateError } from '../base/errors.ts'
import type { ByteString, Incarnation, OperationId, Stamp, TableId } from '../base/ids.ts'
import { decodeDocument } from '../cells/document.ts'
import { divergence, endOf, epochAt } from '../leadership/epoch-history.ts'
import { bodyOf, decodeBody, documentOf, effectOf, encodeBody } from './log-body.ts'
import { type AppendRequest, type CutEntry, Replica } from './replica.ts'
import { memoryStore } from './testing/memory-store.ts'

const named = {
  operation: 'o'.repeat(16) as OperationId,
  actor: 'a'.repeat(8) as Incarnation,
  stamp: 1 as Stamp,
}
const key = (n: number): ByteString => `rkey${n}` as ByteString
const KEYS = 3

/** `appended`: to the key, so that doing it twice, or not undoing it, shows. */
const body = (n: number, text: string): Uint8Array =>
  encodeBody(
    bodyOf(
      'statement',
      {
        ...named,
        key: key(n),
        statement: { update: [{ op: 'append', path: ['l'], items: [{ value: text }] }] },
      },
      undefined,
      undefined,
    ),
  )

function makeReplica() {
  const { store, memory } = memoryStore()
  const cut: CutEntry[] = []
  const options = {
    store,
    table: 1 as TableId,
    partition: 1,
    onCut: (entry: CutEntry) => {
      cut.push(entry)
      return []
    },
  }
  return { replica: new Replica(options), reopened: () => new Replica(options), memory, cut }
}

/** The rows that the entries up to a position make. */
function rowsOf(replica: Replica, to: number): Map<ByteString, unknown> {
  const rows = new Map<ByteString, Uint8Array>()
  for (let at = 1; at <= to; at++)
    for (const { key, cell } of effectOf(decodeBody(replica.log.entry(at).body), key => rows.get(key)))
      if (cell !== undefined) rows.set(key, documentOf(cell)!)
  return new Map([...rows].map(([key, value]) => [key, decodeDocument(value)]))
}

function rowsIn(replica: Replica): Map<ByteString, unknown> {
  const found = new Map<ByteString, unknown>()
  for (let n = 0; n < KEYS; n++) {
    const row = replica.row(key(n))
    if (row !== undefined) found.set(key(n), decodeDocument(row))
  }
  return found
}

/** Entries of a leader's log behind a point. */
function requestOf(
  from: Replica,
  epoch: number,
  behind: number,
  count: number,
  committed: number,
): AppendRequest {
  const { shape } = from.log
  const before = { epoch: epochAt(shape, behind), position: behind }
  const entries = []
  for (let at = behind + 1; at <= Math.min(shape.last, behind + count); at++) entries.push(from.log.entry(at))
  return { epoch, before, entries, committed }
}

const acts = fc.array(
  fc.oneof(
    { weight: 5, arbitrary: fc.record({ kind: fc.constant('write' as const), key: fc.nat(KEYS - 1) }) },
    {
      weight: 8,
      arbitrary: fc.record({
        kind: fc.constant('send' as const),
        to: fc.nat(2),
        back: fc.nat(6),
        count: fc.nat(4),
        share: fc.double({ min: 0, max: 1, noNaN: true }),
      }),
    },
    {
      weight: 4,
      arbitrary: fc.record({ kind: fc.constant('again' as const), which: fc.nat(30), to: fc.nat(2) }),
    },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('lead' as const), who: fc.nat(2) }) },
    {
      weight: 1,
      arbitrary: fc.record({ kind: fc.constant('full' as const), to: fc.nat(2), room: fc.nat(3) }),
    },
  ),
  { maxLength: 60 },
)

function check({ replica, reopened }: ReturnType<typeof makeReplica>): void {
  expect(replica.carriedOut).toBeLessThanOrEqual(replica.log.shape.last)
  expect(rowsIn(replica)).toEqual(rowsOf(replica, replica.carriedOut))
  const again = reopened()
  expect([again.log.shape, again.log.fence, again.carriedOut]).toEqual([
    replica.log.shape,
    replica.log.fence,
    replica.carriedOut,
  ])
}

/** Refusals are part of it: an old epoch, a full store. */
function tolerant(run: () => void): void {
  try {
    run()
  } catch (error) {
    if (!isQuorateError(error)) throw error
  }
}

describe('replicas', () => {
  it('have the rows of their log up to what is carried out, whatever comes, and end like their leader', () => {
    fc.assert(
      fc.property(acts, list => {
        const all = [makeReplica(), makeReplica(), makeReplica()]
        const sent: AppendRequest[] = []
        let [leader, epoch, number] = [0, 1, 0]
        const lead = all[0]!.replica
        lead.log.append(1, endOf(lead.log.shape), [
          { epoch: 1, body: encodeBody({ kind: 'epoch', leader: 'n0' as never, stamp: 1 as Stamp }) },
        ])
        for (const act of list) {
          const now = all[leader]!.replica
          if (act.kind === 'write')
            tolerant(() => {
              now.log.append(epoch, now.log.end, [{ epoch, body: body(act.key, `${number++}`) }])
              // As with ack "none": carried out by the leader alone.
              now.commit(now.log.shape.last)
            })
          if (act.kind === 'send' && act.to !== leader) {
            const behind = Math.max(0, now.log.shape.last - act.back)
            const committed = Math.floor(now.log.shape.last * act.share)
            const request = requestOf(now, epoch, behind, act.count, committed)
            sent.push(request)
            const follower = all[act.to]!.replica
            const before = follower.carriedOut
            tolerant(() => {
              const { answer } = follower.append(request)
              const shared = divergence(now.log.shape, follower.log.shape).position
              // What is told as matched is the same entry on both, and nothing else is carried out.
              if (answer.kind === 'matched') expect(shared).toBeGreaterThanOrEqual(answer.position)
              expect(follower.carriedOut).toBeLessThanOrEqual(Math.max(before, shared))
            })
          }
          const old = act.kind === 'again' ? sent[act.which] : undefined
          if (act.kind === 'again' && old !== undefined && (act.to !== leader || old.epoch < epoch))
            tolerant(() => all[act.to]!.replica.append(old))
          if (act.kind === 'lead') {
            leader = act.who
            epoch++
            const next = all[leader]!.replica
            tolerant(() =>
              next.log.append(epoch, next.log.end, [
                { epoch, body: encodeBody({ kind: 'epoch', leader: 'n' as never, stamp: 1 as Stamp }) },
              ]),
            )
            // A leader whose first entry found no room is none: whoever is asked next tries again.
            if (next.log.fence < epoch) next.log.raiseFence(epoch)
          }
          if (act.kind === 'full') {
            all[act.to]!.memory.room = act.room
            tolerant(() => all[act.to]!.replica.append(requestOf(now, epoch, 0, 100, 0)))
            all[act.to]!.memory.room = Number.POSITIVE_INFINITY
          }
          for (const one of all) check(one)
        }
        const last = all[leader]!.replica
        last.log.append(epoch, last.log.end, [{ epoch, body: body(0, 'end') }])
        last.commit(last.log.shape.last)
        for (const one of all) {
          if (one.replica !== last) one.replica.append(requestOf(last, epoch, 0, 1e6, last.log.shape.last))
          check(one)
          expect(rowsIn(one.replica)).toEqual(rowsIn(last))
          // What was carried out here and is in no log any more was handed over, not lost.
          expect(
            new Set(one.cut.map(({ epoch, position }) => `${epoch}/${position}`)).size,
          ).toBeLessThanOrEqual(one.cut.length)
        }
      }),
      { numRuns: 1_500 },
    )
  })

  it('are not cut by a short message that comes late, and say where they are when they miss what is before', () => {
    const [a, b] = [makeReplica(), makeReplica()]
    for (let i = 0; i < 5; i++)
      a.replica.log.append(1, a.replica.log.end, [{ epoch: 1, body: body(0, `${i}`) }])
    const short = requestOf(a.replica, 1, 0, 2, 0)
    b.replica.append(requestOf(a.replica, 1, 0, 5, 3))
    expect(b.replica.append(short).answer).toEqual({ kind: 'matched', position: 2 })
    expect(b.replica.log.shape.last).toBe(5)
    expect(b.replica.carriedOut).toBe(3)
    const c = makeReplica()
    expect(c.replica.append(requestOf(a.replica, 1, 3, 2, 0)).answer).toMatchObject({
      kind: 'behind',
      first: 1,
    })
    b.replica.log.raiseFence(2)
    expect(() => b.replica.append(short)).toThrow(/2 was promised to/)
  })

  it('carry out no entry that the leader has another one in the place of, however far it is committed', () => {
    const [old, next, follower] = [makeReplica(), makeReplica(), makeReplica()]
    for (let i = 0; i < 4; i++)
      old.replica.log.append(1, old.replica.log.end, [{ epoch: 1, body: body(0, `${i}`) }])
    follower.replica.append(requestOf(old.replica, 1, 0, 4, 0))
    next.replica.append(requestOf(old.replica, 1, 0, 1, 0))
    for (let i = 0; i < 3; i++)
      next.replica.log.append(2, next.replica.log.end, [{ epoch: 2, body: body(1, `${i}`) }])
    // A heartbeat: nothing in it shows the follower that what it has behind the first entry is not the leader's.
    follower.replica.append(requestOf(next.replica, 2, 1, 0, 4))
    expect(follower.replica.carriedOut).toBe(1)
    follower.replica.append(requestOf(next.replica, 2, 1, 3, 4))
    expect(rowsIn(follower.replica)).toEqual(
      new Map([
        [key(0), { l: ['0'] }],
        [key(1), { l: ['0', '1', '2'] }],
      ]),
    )
  })

  it('hand over what is cut, and say whether it had been carried out', () => {
    const [a, b] = [makeReplica(), makeReplica()]
    for (let i = 0; i < 4; i++)
      a.replica.log.append(1, a.replica.log.end, [{ epoch: 1, body: body(0, `${i}`) }])
    b.replica.append(requestOf(a.replica, 1, 0, 2, 2))
    a.replica.commit(3)
    b.replica.log.append(2, b.replica.log.end, [{ epoch: 2, body: body(1, 'new') }])
    a.replica.append(requestOf(b.replica, 2, 2, 1, 3))
    expect(a.cut.map(({ position, wasCarriedOut }) => [position, wasCarriedOut])).toEqual([
      [4, false],
      [3, true],
    ])
    expect(rowsIn(a.replica)).toEqual(
      new Map([
        [key(0), { l: ['0', '1'] }],
        [key(1), { l: ['new'] }],
      ]),
    )
  })
})
