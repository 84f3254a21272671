/**
 * Updates and conditions in a readable form:
 *
 *     db.posts.update('p1', [increment('likes', 1), set('seen', now())], { if: less('likes', 100) })
 *
 * Names with dots are paths into maps: `'address.city'`.
 */

import type { Condition, Document, Operand, Path, Update } from '@quorate/core'

type Step = Update[number]
/** A value, or what is worked out where the write is ordered. */
export type Given = Document | Later

/** Worked out by the leader: another field of the row, or a call. */
export class Later {
  readonly operand: Operand
  constructor(operand: Operand) {
    this.operand = operand
  }
}

const pathOf = (name: string): Path => name.split('.')
const operandOf = (given: Given): Operand => (given instanceof Later ? given.operand : { value: given })

export const set = (name: string, to: Given): Step => ({ op: 'set', path: pathOf(name), to: operandOf(to) })
export const increment = (name: string, by: Given = 1): Step => ({
  op: 'increment',
  path: pathOf(name),
  by: operandOf(by),
})
export const append = (name: string, ...items: readonly Given[]): Step => ({
  op: 'append',
  path: pathOf(name),
  items: items.map(operandOf),
})
export const remove = (name: string): Step => ({ op: 'remove', path: pathOf(name) })

/** What another field holds at that moment. */
export const field = (name: string): Later => new Later({ field: pathOf(name) })
/** Milliseconds since 1970. */
export const now = (): Later => new Later({ call: 'now' })
export const random = (): Later => new Later({ call: 'random' })
export const uuid = (): Later => new Later({ call: 'uuid' })
/** A number that no other write of the partition gets, whoever leads it. */
export const generatedId = (): Later => new Later({ call: 'id' })

export const exists = (): Condition => ({ exists: true })
export const missing = (): Condition => ({ exists: false })
export const has = (name: string): Condition => ({ has: pathOf(name) })
export const equal = (name: string, to: Document): Condition => ({ equal: pathOf(name), to })
export const less = (name: string, than: Document): Condition => ({ less: pathOf(name), than })
export const greater = (name: string, than: Document): Condition => ({ greater: pathOf(name), than })
export const all = (...conditions: readonly Condition[]): Condition => ({ all: conditions })
export const any = (...conditions: readonly Condition[]): Condition => ({ any: conditions })
export const not = (condition: Condition): Condition => ({ not: condition })
