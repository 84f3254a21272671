/** What a value was caused by stays with its dot. */

import { describe, expect, it } from 'vitest'
import type { Incarnation, OperationId, Stamp } from '../base/ids.ts'
import { decodeCell, encodeCell } from './cell-codec.ts'
import type { ConflictRule } from './conflict-rule.ts'
import { lwwRule } from './lww.ts'
import { siblingsRule } from './siblings.ts'

const dot = (actor: string, stamp: number) => ({
  actor: actor.padEnd(8) as Incarnation,
  stamp: stamp as Stamp,
})
const causes = new Uint8Array([1, 2, 3])
const write = (name: string, more: { causes?: Uint8Array; after?: ReturnType<typeof context> } = {}) => ({
  operation: name.padEnd(16) as OperationId,
  value: new Uint8Array([9]),
  seen: undefined,
  ...more,
})
const context = (actor: string, stamp: number) => [
  { actor: actor.padEnd(8) as Incarnation, intervals: [stamp, stamp] },
]
const apply = (rule: ConflictRule, ...args: Parameters<ConflictRule['write']>) => rule.write(...args).cell

describe.each([
  ['lww', lwwRule],
  ['siblings', siblingsRule],
] as const)('%s', (_, rule) => {
  const caused = apply(rule, undefined, write('caused', { causes }), dot('a', 7), 7 as Stamp)
  const plain = apply(rule, undefined, write('plain'), dot('b', 5), 5 as Stamp)

  it('they are encoded, and cells without them have the bytes they always had', () => {
    const bytes = encodeCell(caused)
    expect(decodeCell(bytes).values).toEqual([expect.objectContaining({ causes })])
    expect(encodeCell(decodeCell(bytes))).toEqual(bytes)
    expect(decodeCell(encodeCell(plain)).values[0]).not.toHaveProperty('causes')
  })

  it('merging keeps them, in either order', () => {
    const [one, other] = [rule.merge(caused, plain).cell, rule.merge(plain, caused).cell]
    expect(encodeCell(one)).toEqual(encodeCell(other))
    expect(one.values.find(({ stamp }) => stamp === 7)).toMatchObject({ causes })
  })
})

it('a deletion that stands as a value carries them too', () => {
  const gone = { ...write('gone', { causes }), value: undefined }
  const cell = apply(lwwRule, undefined, gone, dot('a', 7), 7 as Stamp)
  expect(decodeCell(encodeCell(cell)).values).toEqual([expect.objectContaining({ value: undefined, causes })])
})

it('lww: what a session has seen elsewhere is replaced by its write, and is no loss', () => {
  const elsewhere = apply(lwwRule, undefined, write('earlier'), dot('b', 5), 5 as Stamp)
  const told = apply(lwwRule, undefined, write('later', { after: context('b', 5) }), dot('a', 7), 7 as Stamp)
  expect(lwwRule.merge(told, elsewhere).discarded).toEqual([])
  const untold = apply(lwwRule, undefined, write('later'), dot('a', 7), 7 as Stamp)
  expect(lwwRule.merge(untold, elsewhere).discarded).toHaveLength(1)
})
