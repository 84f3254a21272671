/** Merge functions that operators bring, good and bad ones, and the ledger of what a rule discarded: on real processes. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, type Row, table } from '@quorate/client'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { quorate, TestNodes } from './harness.ts'

const MODULES = {
  // The union of the items, and the greater of the numbers.
  cart: 'return { ...siblings[0], items: [...new Set(siblings.flatMap(cart => cart.items))].sort(), n: Math.max(...siblings.map(cart => cart.n)) }',
  endless: 'for (;;) {}',
  dice: 'return { ...siblings[0], n: Math.random() }',
  angry: 'throw new Error("I do not like " + siblings.length + " carts")',
}

interface Cart extends Row {
  readonly id: string
  readonly items: readonly string[]
  readonly n: number
}

const directory = mkdtempSync(join(tmpdir(), 'quorate-modules-'))
let nodes: TestNodes
let db: Awaited<ReturnType<typeof connect>>

beforeAll(async () => {
  const paths = Object.entries(MODULES).map(([name, body]) => {
    const path = join(directory, `${name}.mjs`)
    writeFileSync(path, `export const name = '${name}'\nexport function merge(siblings) { ${body} }\n`)
    return path
  })
  nodes = await TestNodes.start(3, ['--merge-modules', paths.join(',')])
  db = await connect(nodes.connectString, { timeoutMs: 30_000 })
})

afterAll(async () => {
  await db.close()
  await nodes.close()
  rmSync(directory, { recursive: true, force: true })
})

/** Two carts under one key, written without seeing each other. */
async function twoCarts(rule: string) {
  const name = rule.replace('merge:', '')
  const made = await nodes.command(['table', 'create', name, '--key', 'id', '--conflict', rule])
  expect(made.code, made.stderr).toBe(0)
  const carts = db.table(table<Cart>(name, { key: 'id' }))
  await carts.put({ id: 'c', items: ['milk'], n: 1 })
  await carts.put({ id: 'c', items: ['eggs'], n: 2 })
  return carts
}

describe('merge functions of operators', () => {
  it('merge what would be siblings, for every reader', async () => {
    const carts = await twoCarts('merge:cart')
    const { value, context } = await carts.get('c')
    expect(value).toEqual({ id: 'c', items: ['eggs', 'milk'], n: 2 })
    await carts.put({ id: 'c', items: [], n: 3 }, { context })
    expect((await carts.get('c')).value?.items).toEqual([])
  })

  it.each([
    ['endless', 'did not come to an end within 100 ms'],
    ['dice', 'gave two answers for the same siblings'],
    ['angry', 'failed: I do not like 2 carts'],
  ])('that are wrong (%s) leave siblings, and the operator is told', async (name, message) => {
    const carts = await twoCarts(`merge:${name}`)
    for (let i = 0; i < 3; i++) expect((await carts.get('c', { timeoutMs: 20_000 })).siblings).toHaveLength(2)
    expect(nodes.nodes.map(({ output }) => output).join('')).toContain(message)
  })

  it('that no node has are refused by name, and those that cannot be loaded stop a node', async () => {
    const made = await nodes.command(['table', 'create', 'x', '--key', 'id', '--conflict', 'merge:newest'])
    expect(made.code).toBe(2)
    expect(made.stderr).toContain('no merge function for "merge:newest"')
    expect(made.stderr).toContain('merge:cart')
    const wrong = await quorate([
      'start',
      '--id',
      'n9',
      '--data',
      `${nodes.directory}/n9`,
      '--merge-modules',
      '/nowhere/x.mjs',
      '--listen',
      '127.0.0.1:0',
      '--http',
      '127.0.0.1:0',
    ])
    expect(wrong.code).toBe(2)
    expect(wrong.stderr).toContain('mergeModules: /nowhere/x.mjs cannot be loaded')
  })
})

describe('the ledger', () => {
  it('has what lost with what it lost to, by row, reason and hour, and gives it back', async () => {
    const made = await nodes.command(['table', 'create', 'lww', '--key', 'id', '--conflict', 'lww'])
    expect(made.code, made.stderr).toBe(0)
    const rows = db.table(table<Cart>('lww', { key: 'id' }))
    for (const id of ['a', 'b']) {
      await rows.put({ id, items: ['first'], n: 1 })
      const { context } = await rows.get(id)
      // Both have seen the first one, and not each other.
      await rows.put({ id, items: ['second'], n: 2 }, { context })
      await rows.put({ id, items: ['third'], n: 3 }, { context })
    }
    const { items } = await nodes.json<{ key: string; value: Cart; winner: { value: Cart }; id: string }>([
      'ledger',
      'lww',
      '--key',
      'a',
      '--reason',
      'concurrent-loser',
    ])
    expect(items).toHaveLength(1)
    expect(items[0]).toMatchObject({ value: { n: 2 }, winner: { value: { n: 3 } } })
    const counted = await nodes.json<{ table: string; hour: string; entries: number }>(['ledger', '--count'])
    const ofTable = counted.items.filter(item => item.table === 'lww')
    expect(ofTable.reduce((sum, { entries }) => sum + entries, 0)).toBe(2)
    expect(ofTable[0]!.hour).toMatch(/^\d{4}-\d\d-\d\dT\d\d:00Z$/)
    expect((await nodes.json(['ledger', 'lww', '--reason', 'expired-hint'])).items).toHaveLength(0)
    const restored = await nodes.command(['ledger', 'restore', items[0]!.id])
    expect(restored.code, restored.stderr).toBe(0)
    expect((await rows.get('a', { r: 'all' })).value?.n).toBe(2)
    const again = await nodes.command(['ledger', 'restore', items[0]!.id])
    expect(again.code).toBe(6)
  })

  it('a live table is measured against siblings, and answers as before', async () => {
    const made = await nodes.command(['table', 'create', 'plain', '--key', 'id', '--conflict', 'lww'])
    expect(made.code, made.stderr).toBe(0)
    const rows = db.table(table<Cart>('plain', { key: 'id' }))
    await rows.put({ id: 'a', items: [], n: 1 })
    const altered = await nodes.command(['table', 'alter', 'plain', '--shadow', 'siblings'])
    expect(altered.code, altered.stderr).toBe(0)
    // Over a value that nobody had said to have seen; then with its context; then over nothing.
    await rows.put({ id: 'a', items: [], n: 2 })
    const { context } = await rows.get('a')
    await rows.put({ id: 'a', items: [], n: 3 }, { context })
    await rows.put({ id: 'b', items: [], n: 4 })
    expect((await rows.get('a')).value?.n).toBe(3)
    const { items } = await nodes.json<{
      shadow: string
      measured: { hours: { writes: number; overwriting: number }[] }
    }>(['table', 'show', 'plain'])
    const [shown] = items
    expect(shown!.shadow).toBe('siblings')
    const sum = (of: 'writes' | 'overwriting') =>
      shown!.measured.hours.reduce((total, hour) => total + hour[of], 0)
    expect([sum('writes'), sum('overwriting')]).toEqual([3, 1])
    const wrong = await nodes.command(['table', 'alter', 'cart', '--shadow', 'siblings'])
    expect(wrong.code).toBe(2)
    expect(wrong.stderr).toContain('measures what rule lww replaces')
    expect((await nodes.command(['table', 'alter', 'plain', '--shadow', 'none'])).code).toBe(0)
  })
})
