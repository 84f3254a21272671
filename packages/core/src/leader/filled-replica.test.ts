/** A replica that was filled from another one: what its rows stand for when logs part afterwards, and what a ledger hears. */

import { expect, test } from 'vitest'
import type { ByteString, Incarnation, OperationId, Stamp, TableId } from '../base/ids.ts'
import { encodeDocument } from '../cells/document.ts'
import { divergence, epochAt, truncated } from '../leadership/epoch-history.ts'
import { keyspaces } from '../store/keyspace.ts'
import { dropLog, giveUpLog } from './drop-log.ts'
import { bodyOf, encodeBody } from './log-body.ts'
import { type AppendRequest, type CutEntry, Replica } from './replica.ts'
import { memoryStore } from './testing/memory-store.ts'

const TABLE = 1 as TableId
const key = (name: string): ByteString => `r${name}` as ByteString
const [FROM, TO] = ['r' as ByteString, 's' as ByteString]

function put(name: string, stamp: number): Uint8Array {
  const operation = `${stamp}${'o'.repeat(16)}`.slice(0, 16) as OperationId
  const change = { operation, actor: 'a'.repeat(8) as Incarnation, stamp: stamp as Stamp, key: key(name) }
  const document = encodeDocument({ value: stamp })
  return encodeBody(bodyOf('logical', { ...change, statement: { put: document } }, undefined, document))
}

function make() {
  const { store } = memoryStore()
  const cut: CutEntry[] = []
  const onCut = (entry: CutEntry) => {
    cut.push(entry)
    return []
  }
  return { store, cut, replica: new Replica({ store, table: TABLE, partition: 1, onCut }) }
}

function lead({ log }: Replica, epoch: number, names: readonly string[], firstStamp: number): void {
  log.append(
    epoch,
    log.end,
    names.map((name, at) => ({ epoch, body: put(name, firstStamp + at) })),
  )
}

function request(
  { log }: Replica,
  epoch: number,
  behind: number,
  count: number,
  committed: number,
): AppendRequest {
  const { shape } = log
  const entries = []
  for (let at = behind + 1; at <= Math.min(shape.last, behind + count); at++) entries.push(log.entry(at))
  return { epoch, before: { epoch: epochAt(shape, behind), position: behind }, entries, committed }
}

const named = (letter: string, count: number): string[] =>
  Array.from({ length: count }, (_, at) => `${letter}${at}`)

test('rows that came from a log which was given up are filled anew, and not shown', () => {
  const [old, next, filled] = [make().replica, make().replica, make().replica]
  lead(old, 1, named('a', 10), 1)
  old.commit(10)
  next.append(request(old, 1, 0, 4, 4))
  filled.append(request(old, 1, 0, 1, 0))
  // Filled from the old leader, which has carried out all ten, and whose log begins at the third.
  old.trim(2)
  filled.beginLoading(1, FROM, TO)
  filled.load(named('a', 10).map(name => ({ key: key(name), cell: old.cell(key(name))! })))
  filled.endLoading(truncated(old.log.shape, old.log.first - 1), old.log.shape.last, 1)
  filled.append(request(old, 1, 2, 2, 4))
  expect(filled.isWhole).toBe(false)
  // An unclean election: the next leader never had the last six.
  lead(next, 2, named('b', 8), 100)
  next.commit(12)
  const { answer } = filled.append(request(next, 2, 4, 8, 12))
  expect(filled.isWhole).toBe(false)
  expect(answer).toMatchObject({ kind: 'behind' })
  expect(answer.kind === 'behind' && answer.first).toBeGreaterThan(next.log.shape.last)
})

test('of a replica that is filled because its rows were given up, the ledger hears only what it had alone', () => {
  const leader = make().replica
  const { replica, cut } = make()
  lead(leader, 1, named('a', 10), 1)
  leader.commit(10)
  replica.append(request(leader, 1, 0, 8, 8))
  // Two entries of its own, carried out: under "none" somebody may have been told.
  lead(replica, 1, ['own0', 'own1'], 50)
  replica.commit(10)
  lead(leader, 2, ['b0'], 100)
  const shape = {
    epochs: [
      { epoch: 1, from: 1 },
      { epoch: 2, from: 9 },
    ],
    last: 11,
  }
  replica.giveUpRows()
  expect(replica.isWhole).toBe(false)
  replica.beginLoading(divergence(replica.log.shape, shape).position, FROM, TO)
  expect(cut.map(({ position, wasCarriedOut }) => [position, wasCarriedOut])).toEqual([
    [10, true],
    [9, true],
  ])
})

test('what is left of a log that is being dropped is a log at every step, and none of it stays', () => {
  const { store, replica } = make()
  lead(replica, 1, named('a', 25), 1)
  replica.commit(25)
  replica.trim(5)
  giveUpLog(store, TABLE, 1)
  for (let step = 0; !dropLog(store, TABLE, 1, 4); step++) {
    expect(step).toBeLessThan(100)
    const { log, isWhole } = new Replica({ store, table: TABLE, partition: 1, onCut: () => [] })
    if (log.shape.last === 0) continue
    expect(isWhole).toBe(false)
    for (let at = log.first; at <= log.shape.last; at++) expect(() => log.entry(at)).not.toThrow()
  }
  for (const space of [keyspaces.log, keyspaces.undo])
    expect([...store.scan(space as ByteString, `${space}\xff` as ByteString)]).toEqual([])
})

test('what undoes an entry goes with it', () => {
  const { store, replica } = make()
  lead(replica, 1, named('a', 10), 1)
  replica.commit(10)
  const undos = () =>
    [...store.scan(keyspaces.undo as ByteString, `${keyspaces.undo}\xff` as ByteString)].length
  const before = undos()
  replica.trim(6)
  expect(undos()).toBe(before - 6)
  expect(replica.log.first).toBe(7)
})
