/** Rows that are agreed on, on real processes: one seat and many who want it, a node that is killed, and what is refused. */

import { connect, equal, increment, isQuorateError, missing, type Row, table } from '@quorate/client'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { TestNodes } from './harness.ts'

interface Seat extends Row {
  readonly seat: string
  readonly for?: string
  readonly count?: number
}
const seats = table<Seat>('seats', { key: 'seat' })

let nodes: TestNodes
const connections: { close(): Promise<void> }[] = []

async function connection() {
  const db = await connect(nodes.connectString, { tables: { seats }, timeoutMs: 30_000 })
  connections.push(db)
  return db
}

beforeAll(async () => {
  nodes = await TestNodes.start(3)
  const made = await nodes.command(['table', 'create', 'seats', '--key', 'seat', '--consensus'])
  expect(made.code, made.stderr).toBe(0)
})

afterAll(async () => {
  for (const db of connections) await db.close()
  await nodes.close()
})

describe('rows that are agreed on', () => {
  it('a seat that many want at once has one taker, whom all are told of', async () => {
    const all = await Promise.all(Array.from({ length: 4 }, connection))
    for (let round = 0; round < 5; round++) {
      const seat = `s${round}`
      const told = await Promise.all(
        all.map((db, who) => db.seats.put({ seat, for: `p${who}` }, { if: missing(), timeoutMs: 20_000 })),
      )
      const takers = told.flatMap(({ applied }, who) => (applied ? [`p${who}`] : []))
      expect(takers).toHaveLength(1)
      for (const db of all) expect((await db.seats.get(seat)).value?.for).toBe(takers[0])
    }
  })

  it('counts what it says that it counted, also when a node dies under it', async () => {
    const [one, other] = [await connection(), await connection()]
    let acknowledged = 0
    let unknown = 0
    for (let n = 0; n < 30; n++) {
      if (n === 10) await nodes.end('n3')
      for (const result of await Promise.allSettled(
        [one, other].map(db => db.seats.update('count', [increment('count')], { timeoutMs: 20_000 })),
      )) {
        if (result.status === 'fulfilled') acknowledged++
        else if (isQuorateError(result.reason) && result.reason.outcome !== 'not-applied') unknown++
      }
    }
    const count = (await one.seats.get('count')).value?.count ?? 0
    expect(count).toBeGreaterThanOrEqual(acknowledged)
    expect(count).toBeLessThanOrEqual(acknowledged + unknown)
    expect((await other.seats.get('count')).value?.count).toBe(count)
    nodes.launch('n3')
    await nodes.ready()
  })

  it('compares and sets, deletes, and scans', async () => {
    const db = await connection()
    await db.seats.put({ seat: 'x', for: 'Ann' })
    const { context } = await db.seats.get('x')
    expect((await db.seats.put({ seat: 'x', for: 'Bob' }, { if: equal('for', 'Cleo') })).applied).toBe(false)
    expect((await db.seats.put({ seat: 'x', for: 'Bob' }, { if: equal('for', 'Ann') })).applied).toBe(true)
    const late = await db.seats.put({ seat: 'x', for: 'Dora' }, { context })
    expect(late.applied).toBe(false)
    expect(late.current).toMatchObject({ for: 'Bob' })
    await db.seats.delete('x')
    expect((await db.seats.get('x')).value).toBeUndefined()
    const found: string[] = []
    for await (const row of db.seats.scan()) found.push(row.value!.seat)
    expect(found.sort()).toEqual(['count', 's0', 's1', 's2', 's3', 's4'])
    expect((await nodes.command(['verify', 'seats'])).code).toBe(0)
  })

  it('is used from the command line, and says what has no meaning for it', async () => {
    const put = (who: string) =>
      nodes.command(['put', 'seats', `{"seat": "12A", "for": "${who}"}`, '--if', 'missing'])
    expect((await put('Ann')).code).toBe(0)
    const second = await put('Bob')
    expect(second.code).toBe(6)
    expect(second.stdout).toContain('Ann')
    const read = await nodes.command(['get', 'seats', '12A', '--r', 'one'])
    expect(read.code).toBe(2)
    expect(read.stderr).toContain('linearizable')
    const write = await nodes.command(['put', 'seats', '{"seat": "12A"}', '--w', '1'])
    expect(write.stderr).toContain('more than half of the homes agree')
    const made = await nodes.command(['table', 'create', 'y', '--key', 'k', '--consensus', '--w', '2'])
    expect(made.code).toBe(2)
    expect(made.stderr).toContain('--w has no meaning with --consensus')
    const conflict = await nodes.command([
      'table',
      'create',
      'y',
      '--key',
      'k',
      '--consensus',
      '--conflict',
      'lww',
    ])
    expect(conflict.code).toBe(2)
    expect(conflict.stderr).toContain('here they are ordered')
  })
})
