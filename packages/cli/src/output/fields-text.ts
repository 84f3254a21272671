/** Fields of rows that merge by themselves, in the words of `table create --field`. */

import type { Fields, FieldType } from '@quorate/client'

export function fieldsText(fields: Fields, before = ''): string {
  return Object.entries(fields)
    .map(([name, type]) => fieldText(`${before}${name}`, type))
    .join(', ')
}

function fieldText(name: string, type: FieldType): string {
  if (typeof type === 'string') return `${name}:${type}`
  if ('of' in type) return fieldText(`${name}:map`, type.of)
  return fieldsText(type.fields, `${name}.`)
}
