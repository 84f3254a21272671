/**
 * Updates and conditions as they are typed: `likes+=1`, `seen=now()`, `tags<<"x"`, `-address.city`; `likes<100`,
 * `name="Ada"`, `exists`, `missing`. Small and strict: what is not one of these forms is an error that shows them. Anything
 * larger is given as JSON, in the form of the client (`[{"op": "set", …}]`, `{"all": […]}`).
 */

import {
  append,
  type Condition,
  equal,
  exists,
  generatedId,
  greater,
  has,
  increment,
  type Later,
  less,
  missing,
  not,
  now,
  random,
  remove,
  set,
  type Update,
  uuid,
} from '@quorate/client/pure'
import { usageError } from '../command-error.ts'
import { fromJson } from '../output/json-value.ts'

type Value = Parameters<typeof set>[1]

const CALLS: Readonly<Record<string, () => Later>> = {
  'now()': now,
  'random()': random,
  'uuid()': uuid,
  'id()': generatedId,
}

const FIELD = '[A-Za-z_][\\w.]*'
const STEPS =
  'field=VALUE, field+=NUMBER, field<<VALUE, -field; VALUE is JSON, or now(), random(), uuid(), id()'
const CONDITIONS =
  'exists, missing, has:field, field=JSON, field!=JSON, field<JSON, field>JSON, or a condition as JSON'

export function stepOf(text: string): Update[number] {
  const removed = new RegExp(`^-(${FIELD})$`).exec(text)
  if (removed !== null) return remove(removed[1]!)
  const match = new RegExp(`^(${FIELD})(\\+=|<<|=)(.+)$`, 's').exec(text)
  if (match === null) throw usageError(`"${text}" is no step of an update: ${STEPS}`, 'quorate update --help')
  const [, field, sign, given] = match as unknown as [string, string, string, string]
  const value = CALLS[given]?.() ?? jsonOf(given, text, STEPS)
  if (sign === '+=') return increment(field, value)
  return sign === '<<' ? append(field, value) : set(field, value)
}

export function conditionOf(text: string): Condition {
  if (text.startsWith('{')) return jsonOf(text, text, CONDITIONS) as unknown as Condition
  if (text === 'exists') return exists()
  if (text === 'missing') return missing()
  const present = new RegExp(`^has:(${FIELD})$`).exec(text)
  if (present !== null) return has(present[1]!)
  const match = new RegExp(`^(${FIELD})(!=|=|<|>)(.+)$`, 's').exec(text)
  if (match === null) throw usageError(`"${text}" is no condition: ${CONDITIONS}`, 'quorate put --help')
  const [, field, sign, given] = match as unknown as [string, string, string, string]
  const value = jsonOf(given, text, CONDITIONS) as Parameters<typeof equal>[1]
  if (sign === '<') return less(field, value)
  if (sign === '>') return greater(field, value)
  return sign === '=' ? equal(field, value) : not(equal(field, value))
}

export function jsonOf(given: string, text: string, forms: string): Value {
  let value: unknown
  try {
    value = JSON.parse(given)
  } catch {
    throw usageError(`"${text}": ${given} is not JSON (a text has quotes: name="Ada"); ${forms}`)
  }
  return fromJson(value as never, text) as Value
}
