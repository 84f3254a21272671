/**
 * Steps on rows that merge by themselves, as they are typed: `likes+=1`, `tags<<"x"`, `tags>>"x"`, `name="Ada"`,
 * `on=true`, `-tags`. What a sign means is told by the type of the field; names within a field are behind a point.
 */

import type { Fields, FieldType, MergeStep } from '@quorate/client'
import { usageError } from '../command-error.ts'
import { jsonOf } from './small-expressions.ts'

const STEPS =
  'counter+=NUMBER, counter-=NUMBER, set<<VALUE, set>>VALUE, flag=true, flag=false, value=VALUE, -field; VALUE is JSON'

export function mergeStepOf(fields: Fields, text: string): MergeStep {
  const cleared = /^-([^=<>+]+)$/.exec(text)
  if (cleared !== null) return { op: 'clear', path: cleared[1]!.split('.') }
  const match = /^([^=<>+-]+?)(\+=|-=|<<|>>|=)(.+)$/s.exec(text)
  if (match === null) throw usageError(`"${text}" is no step: ${STEPS}`, 'quorate update --help')
  const [, name, sign, given] = match as unknown as [string, string, string, string]
  const path = name.split('.')
  const value = jsonOf(given, text, STEPS)
  switch (sign) {
    case '+=':
      return { op: 'increment', path, by: value as number }
    case '-=':
      return { op: 'increment', path, by: -(value as number) }
    case '<<':
      return { op: 'add', path, element: value as never }
    case '>>':
      return { op: 'remove', path, element: value as never }
    default:
      if (leafOf(fields, path) !== 'flag') return { op: 'set', path, to: value as never }
      if (typeof value !== 'boolean') throw usageError(`"${text}": ${name} is a flag: true or false`)
      return { op: value ? 'enable' : 'disable', path }
  }
}

function leafOf(fields: Fields, path: readonly string[]): FieldType | undefined {
  let type: FieldType | undefined = { fields }
  for (const name of path) {
    if (typeof type !== 'object') return undefined
    type = 'of' in type ? type.of : type.fields[name]
  }
  return type
}

const KINDS = 'counter, flag, or-set or lww, each also in a map: map:counter'

/** `likes:counter`, `carts:map:or-set`, `stats.seen:counter`. */
export function fieldsOfFlags(given: readonly string[]): Fields {
  const fields: Record<string, unknown> = {}
  for (const text of given) {
    const [name = '', ...kinds] = text.split(':')
    const kind = kinds.pop()
    if (name === '' || kind === undefined || kinds.some(map => map !== 'map'))
      throw usageError(`--field ${text}: a name and a type, likes:counter; types are ${KINDS}`)
    const type = kinds.reduce<unknown>(inner => ({ of: inner }), kind)
    const path = name.split('.')
    const last = path.pop()!
    let map = fields
    for (const group of path) {
      map[group] ??= { fields: {} }
      map = (map[group] as { fields: Record<string, unknown> }).fields
    }
    map[last] = type
  }
  return fields as Fields
}
