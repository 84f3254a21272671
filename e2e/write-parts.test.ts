import { connect, isQuorateError, table } from '@quorate/client'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { TestNodes } from './harness.ts'

interface Like {
  readonly post: string
  readonly by: string
}
const likes = table<Like>('likes', { key: 'post' })

describe('a table whose writes are split, on three nodes', () => {
  let nodes: TestNodes
  beforeAll(async () => {
    nodes = await TestNodes.start(3)
    const made = await nodes.command(['table', 'create', 'likes', '--key', 'post', '--write-parts', '8'])
    expect(made.code, made.stderr).toBe(0)
  })
  afterAll(() => nodes?.close())

  it('shows what it is, is the same table again, and not another', async () => {
    const shown = await nodes.command(['table', 'show', 'likes'])
    expect(shown.stdout).toMatch(/WRITE PARTS\nlikes\t.*\t8\n/)
    const { items } = await nodes.json<{ hotKeys: unknown }>(['table', 'show', 'likes'])
    expect(items[0]!.hotKeys).toEqual({ writeParts: 8 })
    const create = (...more: string[]) =>
      nodes.command(['table', 'create', 'likes', '--key', 'post', ...more])
    expect((await create('--write-parts', '8')).code).toBe(0)
    const other = await create('--write-parts', '4')
    expect(other.code).not.toBe(0)
    expect(other.stderr).toContain('hotKeys.writeParts is 8, not 4')
    expect((await create()).stderr).toContain('hotKeys.writeParts is 8, not unset')
  })

  it.each([
    [['--write-parts', '1'], 'from 2 to 64'],
    [['--write-parts', '65'], 'from 2 to 64'],
    [['--write-parts', '8', '--conflict', 'lww'], 'rule siblings'],
    [['--write-parts', '8', '--partitioning', 'range'], 'partition it by hash'],
  ])('%j is refused with the reason', async (flags, reason) => {
    const refused = await nodes.command(['table', 'create', 'wrong', '--key', 'id', ...flags])
    expect(refused.code).not.toBe(0)
    expect(refused.stderr).toContain('hotKeys.writeParts')
    expect(refused.stderr).toContain(reason)
  })

  it('takes the writes of one key on several partitions, gives all of them back, and forgets what is deleted', async () => {
    const db = await connect(nodes.connectString, { tables: { likes } })
    await Promise.all(Array.from({ length: 40 }, (_, i) => db.likes.put({ post: 'p', by: `u${i}` })))
    const found = await db.likes.get('p')
    expect(new Set(found.siblings.map(({ by }) => by)).size).toBe(40)

    const { items } = await nodes.json<{
      parts: { part: number; partition: { id: number }; values: number }[]
    }>(['explain', 'get', 'likes', 'p'])
    const { parts } = items[0]!
    expect(parts.map(({ part }) => part)).toEqual([0, 1, 2, 3, 4, 5, 6, 7])
    expect(new Set(parts.map(({ partition }) => partition.id)).size).toBeGreaterThan(3)
    expect(parts.reduce((sum, { values }) => sum + values, 0)).toBe(40)
    expect(parts.filter(({ values }) => values > 0).length).toBeGreaterThan(4)
    const text = await nodes.command(['explain', 'get', 'likes', 'p'])
    expect(text.stdout).toContain('go to 8 parts')

    // Any way in: by the command line, through whichever node.
    const put = await nodes.command(['put', 'likes', '{"post": "p", "by": "cli"}'])
    expect(put.code, put.stderr).toBe(0)
    await db.likes.put({ post: 'p', by: 'everybody' }, { context: found.context })
    const left = await db.likes.get('p')
    expect(left.siblings.map(({ by }) => by).sort()).toEqual(['cli', 'everybody'])

    const scanned = []
    for await (const row of db.likes.scan()) scanned.push(row.siblings.length)
    expect(scanned).toEqual([2])
    await db.likes.delete('p')
    expect((await db.likes.get('p')).siblings).toEqual([])
    await db.close()
  })

  it('loses nothing of what was acknowledged when a node is killed in the middle', async () => {
    const db = await connect(nodes.connectString, { tables: { likes } })
    const acknowledged: string[] = []
    const writing = Array.from({ length: 48 }, async (_, i) => {
      try {
        await db.likes.put({ post: 'q', by: `u${i}` }, { timeoutMs: 20_000 })
        acknowledged.push(`u${i}`)
      } catch (error) {
        if (!isQuorateError(error)) throw error
      }
    })
    await nodes.end('n2')
    await Promise.all(writing)
    const found = await db.likes.get('q', { timeoutMs: 20_000 })
    const shown = new Set(found.siblings.map(({ by }) => by))
    expect(acknowledged.filter(by => !shown.has(by))).toEqual([])
    expect(acknowledged.length).toBeGreaterThan(0)
    nodes.launch('n2')
    await nodes.ready()
    await db.likes.delete('q', { context: found.context, timeoutMs: 20_000 })
    const after = await db.likes.get('q', { r: 'all', timeoutMs: 20_000 })
    expect(after.siblings.filter(({ by }) => shown.has(by))).toEqual([])
    await db.close()
  })
})
