/**
 * Message schemas: one declaration gives encoder, validating decoder and a textual shape. The shapes are
 * hashed in a test, so a change of the wire without a new protocol version does not pass unnoticed.
 */

import { QuorateError } from '../base/errors.ts'
import type { ByteString, NodeId, Stamp } from '../base/ids.ts'
import type { ByteReader } from './byte-reader.ts'
import type { ByteWriter } from './byte-writer.ts'

export interface Schema<T> {
  readonly shape: string
  write(writer: ByteWriter, value: T): void
  read(reader: ByteReader): T
}

export type Shaped<S> = S extends Schema<infer T> ? T : never

export const u8: Schema<number> = { shape: 'u8', write: (w, v) => w.u8(v), read: r => r.u8() }
export const u32: Schema<number> = { shape: 'u32', write: (w, v) => w.u32(v), read: r => r.u32() }
export const count: Schema<number> = { shape: 'varint', write: (w, v) => w.varint(v), read: r => r.varint() }
export const real: Schema<number> = { shape: 'f64', write: (w, v) => w.f64(v), read: r => r.f64() }
export const stamp: Schema<Stamp> = { shape: 'stamp', write: (w, v) => w.stamp(v), read: r => r.stamp() }

export const flag: Schema<boolean> = {
  shape: 'flag',
  write: (w, v) => w.u8(v ? 1 : 0),
  read: r => {
    const value = r.u8()
    if (value > 1) r.fail('a flag is neither 0 nor 1')
    return value === 1
  },
}

export function bytes(max: number): Schema<Uint8Array> {
  return { shape: `bytes<=${max}`, write: (w, v) => w.bytes(v), read: r => r.bytes(max) }
}

export function byteString<T extends string = ByteString>(max: number): Schema<T> {
  return {
    shape: `byteString<=${max}`,
    write: (w, v) => w.byteString(v),
    read: r => r.byteString(max) as string as T,
  }
}

/** Exactly `length` bytes, as a byte string. */
export function fixed<T extends string = ByteString>(length: number): Schema<T> {
  return {
    shape: `fixed${length}`,
    write: (w, v) => {
      if (v.length !== length)
        throw new QuorateError('BAD_REQUEST', `expected ${length} bytes, got ${v.length}`)
      w.rawByteString(v)
    },
    read: r => r.rawByteString(length) as string as T,
  }
}

export function text(max: number): Schema<string> {
  return { shape: `text<=${max}`, write: (w, v) => w.text(v), read: r => r.text(max) }
}

export const node: Schema<NodeId> = {
  shape: 'node',
  write: (w, v) => w.byteString(v),
  read: r => r.byteString(64) as string as NodeId,
}

export function optional<T>(inner: Schema<T>): Schema<T | undefined> {
  return {
    shape: `${inner.shape}?`,
    write: (w, v) => {
      if (v === undefined) return w.u8(0)
      w.u8(1)
      inner.write(w, v)
    },
    read: r => (flag.read(r) ? inner.read(r) : undefined),
  }
}

export function list<T>(inner: Schema<T>, max: number): Schema<readonly T[]> {
  return {
    shape: `[${inner.shape}]<=${max}`,
    write: (w, v) => {
      w.varint(v.length)
      for (const item of v) inner.write(w, item)
    },
    read: r => {
      const length = r.count(max)
      const out: T[] = []
      for (let i = 0; i < length; i++) out.push(inner.read(r))
      return out
    },
  }
}

export function oneOf<const T extends string>(names: readonly T[]): Schema<T> {
  return {
    shape: `(${names.join('|')})`,
    write: (w, v) => w.u8(names.indexOf(v)),
    read: r => names[r.u8()] ?? r.fail('a choice is out of range'),
  }
}

type Fields = { readonly [name: string]: Schema<never> | Schema<unknown> }
type Recorded<F> = { readonly [K in keyof F]: F[K] extends Schema<infer T> ? T : never }

export function record<const F extends { readonly [name: string]: unknown }>(fields: F): Schema<Recorded<F>> {
  const names = Object.keys(fields)
  const schemas = names.map(name => (fields as unknown as Fields)[name] as Schema<unknown>)
  return {
    shape: `{${names.map((name, i) => `${name}:${schemas[i]!.shape}`).join(',')}}`,
    write: (w, v) => {
      const values = v as Record<string, unknown>
      for (let i = 0; i < names.length; i++) schemas[i]!.write(w, values[names[i]!])
    },
    read: r => {
      const out: Record<string, unknown> = {}
      for (let i = 0; i < names.length; i++) out[names[i]!] = schemas[i]!.read(r)
      return out as Recorded<F>
    },
  }
}

type Variants = { readonly [kind: string]: Schema<never> | Schema<unknown> }
type Tagged<V> = { [K in keyof V]: V[K] extends Schema<infer T> ? { readonly kind: K } & T : never }[keyof V]

/** A union told apart by `kind`. The order of the variants is the wire format. */
export function variants<const V extends { readonly [kind: string]: unknown }>(of: V): Schema<Tagged<V>> {
  const kinds = Object.keys(of)
  const schemas = kinds.map(kind => (of as unknown as Variants)[kind] as Schema<unknown>)
  return {
    shape: `<${kinds.map((kind, i) => `${kind}:${schemas[i]!.shape}`).join('|')}>`,
    write: (w, v) => {
      const at = kinds.indexOf((v as { kind: string }).kind)
      w.u8(at)
      schemas[at]!.write(w, v)
    },
    read: r => {
      const at = r.u8()
      const schema = schemas[at] ?? r.fail('a variant is out of range')
      return { kind: kinds[at], ...(schema.read(r) as object) } as Tagged<V>
    },
  }
}
