import { describe, expect, it } from 'vitest'
import { QuorateError } from '../base/errors.ts'
import type { Incarnation, OperationId, Stamp } from '../base/ids.ts'
import { type Cell, emptyCell } from './cell.ts'
import type { ConflictRule } from './conflict-rule.ts'
import { type Document, decodeDocument, encodeDocument } from './document.ts'
import type { MergeFunction } from './merge-functions.ts'
import { MERGE_STOPPED, MergeModules } from './merge-modules.ts'

const told: string[] = []

function ruleOf(merge: MergeFunction): ConflictRule {
  told.length = 0
  const modules = new MergeModules(new Map([['cart', merge]]), message => told.push(message))
  return modules.rule('merge:cart')!
}

/** Two carts that were written without seeing each other. */
function siblings(rule: ConflictRule): Cell {
  const write = (base: Cell, n: number): Cell =>
    rule.write(
      base,
      {
        operation: String(n).padStart(16, '0') as OperationId,
        value: encodeDocument({ items: [`item-${n}`], n }),
        seen: undefined,
      },
      { actor: 'actor-A0' as string as Incarnation, stamp: n as Stamp },
      0 as Stamp,
    ).cell
  return write(write(emptyCell, 1), 2)
}

const shown = (rule: ConflictRule): Document[] =>
  rule.read(siblings(rule)).map(value => decodeDocument(value))

type Cart = { readonly items: readonly string[]; readonly n: number }

describe('a merge function that an operator brings', () => {
  it('is asked where a reader would see siblings', () => {
    const rule = ruleOf(carts => ({
      items: (carts as Cart[]).flatMap(({ items }) => items).sort(),
      n: Math.max(...(carts as Cart[]).map(({ n }) => n)),
    }))
    expect(shown(rule)).toEqual([{ items: ['item-1', 'item-2'], n: 2 }])
    expect(told).toEqual([])
  })

  it('may change what it is given', () => {
    const rule = ruleOf(carts => {
      const [first, ...more] = carts as unknown as { items: string[] }[]
      for (const { items } of more) first!.items.push(...items.splice(0))
      first!.items.sort()
      return { items: first!.items } as unknown as Document
    })
    expect(shown(rule)).toEqual([{ items: ['item-1', 'item-2'] }])
  })

  it.each<[string, MergeFunction, string]>([
    ['depends on the order', carts => carts[0]!, 'gave two answers for the same siblings'],
    [
      'depends on how often it was called',
      (() => {
        let calls = 0
        return () => calls++
      })(),
      'gave two answers',
    ],
    ['throws', () => JSON.parse('{'), 'failed: '],
    ['gives what is no document', () => new Date() as never, 'failed: '],
    [
      'does not come to an end',
      () => {
        throw new QuorateError(MERGE_STOPPED, 'did not come to an end within 100 ms')
      },
      'did not come to an end',
    ],
  ])('that %s: readers see siblings, and the operator hears of it once', (_, merge, message) => {
    const rule = ruleOf(merge)
    expect(shown(rule)).toHaveLength(2)
    expect(shown(rule)).toHaveLength(2)
    expect(told).toHaveLength(1)
    expect(told[0]).toContain(message)
    expect(told[0]).toContain('readers see siblings')
  })

  it('is not asked again when it gave two answers', () => {
    let calls = 0
    const rule = ruleOf(() => ++calls)
    for (let i = 0; i < 5; i++) expect(shown(rule)).toHaveLength(2)
    expect(calls).toBe(2)
  })

  it.each([
    ['union', 'is built in'],
    ['My Merge', 'is no name'],
  ])('has a name of its own, unlike %s', (name, message) => {
    expect(() => new MergeModules(new Map([[name, () => null]]), () => {})).toThrow(message)
  })
})
