/** Documents hold bigints, bytes and sets; JSON does not: they travel as `{"$bigint"|"$bytes"|"$set": …}`. */

export function toJson(value: unknown): unknown {
  if (typeof value === 'bigint') return { $bigint: value.toString() }
  if (value instanceof Uint8Array) return { $bytes: Buffer.from(value).toString('base64') }
  if (value instanceof Set) return { $set: [...value].map(toJson) }
  if (Array.isArray(value)) return value.map(toJson)
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, toJson(item)]))
  return value
}

export function fromJson(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(fromJson)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value)
  const [name, inner] = entries.length === 1 ? entries[0]! : []
  if (name === '$bigint' && typeof inner === 'string' && /^-?\d+$/.test(inner)) return BigInt(inner)
  if (name === '$bytes' && typeof inner === 'string') return new Uint8Array(Buffer.from(inner, 'base64'))
  if (name === '$set' && Array.isArray(inner)) return new Set(inner.map(fromJson))
  return Object.fromEntries(entries.map(([key, item]) => [key, fromJson(item)]))
}

/** One value in one cell of a table. */
export function valueText(value: unknown): string {
  if (value === undefined) return ''
  return typeof value === 'string' ? value : JSON.stringify(toJson(value))
}
