/**
 * Fields of rows that merge by themselves, typed: `counter()`, `flag()`, `orSet<string>()`, `lww<number>()`, `mapOf(…)`,
 * `group({…})`. Each makes the steps that can be done to it; a row is never put as a whole.
 */

import type { Document, Fields, FieldType, MergeStep } from '@quorate/core'

type Path = readonly string[]

/** `Shown`: what a reader sees; `Steps`: what can be done. */
export interface FieldSpec<Shown = unknown, Steps = unknown> {
  readonly type: FieldType
  readonly at: (path: Path) => Steps
  /** Only of the type. */
  readonly shown?: Shown
}

export type FieldSpecs = { readonly [field: string]: FieldSpec }

/** The row as a reader sees it, without its key. Values that were never set are not there. */
export type ShownFields<F extends FieldSpecs> = {
  readonly [K in keyof F]: F[K] extends FieldSpec<infer Shown, unknown> ? Shown : never
}

/** What can be done to a row. */
export type RowSteps<F extends FieldSpecs> = {
  readonly [K in keyof F]: F[K] extends FieldSpec<unknown, infer Steps> ? Steps : never
}

export interface Clearing {
  /** Takes away all that a reader is shown there. */
  clear(): MergeStep
}

export interface CounterSteps extends Clearing {
  increment(by?: number): MergeStep
  decrement(by?: number): MergeStep
}

export interface FlagSteps extends Clearing {
  enable(): MergeStep
  disable(): MergeStep
}

export interface SetSteps<E> extends Clearing {
  add(element: E): MergeStep
  /** Takes away the element as a reader is shown it; who adds it meanwhile keeps it in. */
  remove(element: E): MergeStep
}

export interface ValueSteps<V> extends Clearing {
  /** The latest value stays; one that loses without having been seen is in the ledger. */
  set(to: V): MergeStep
}

export interface MapSteps<Steps> extends Clearing {
  at(name: string): Steps
}

/** A whole number that grows and shrinks; an operation counts once, however often it is tried. */
export function counter(): FieldSpec<number | bigint, CounterSteps> {
  return {
    type: 'counter',
    at: path => ({
      increment: (by = 1) => ({ op: 'increment', path, by }),
      decrement: (by = 1) => ({ op: 'increment', path, by: -by }),
      clear: () => ({ op: 'clear', path }),
    }),
  }
}

/** On or off; enabled wins over disabled at the same time. */
export function flag(): FieldSpec<boolean, FlagSteps> {
  return {
    type: 'flag',
    at: path => ({
      enable: () => ({ op: 'enable', path }),
      disable: () => ({ op: 'disable', path }),
      clear: () => ({ op: 'clear', path }),
    }),
  }
}

/** A set: added wins over removed at the same time. */
export function orSet<E extends Document = Document>(): FieldSpec<ReadonlySet<E>, SetSteps<E>> {
  return {
    type: 'or-set',
    at: path => ({
      add: element => ({ op: 'add', path, element }),
      remove: element => ({ op: 'remove', path, element }),
      clear: () => ({ op: 'clear', path }),
    }),
  }
}

/** A value of which the last one written stays. */
export function lww<V extends Document = Document>(): FieldSpec<V | undefined, ValueSteps<V>> {
  return {
    type: 'lww',
    at: path => ({
      set: to => ({ op: 'set', path, to }),
      clear: () => ({ op: 'clear', path }),
    }),
  }
}

export interface DocumentSteps extends Clearing {
  /** An update as Yjs gives it: `doc.on('update', update => …)`. */
  edit(update: Uint8Array): MergeStep
}

/** A collaborative document (text, lists, maps), edited and shown as updates of Yjs: `Y.applyUpdate(doc, row.text)`. */
export function document(): FieldSpec<Uint8Array | undefined, DocumentSteps> {
  return {
    type: 'document',
    at: path => ({
      edit: update => ({ op: 'edit', path, update }),
      clear: () => ({ op: 'clear', path }),
    }),
  }
}

/** A map whose names the writers choose. */
export function mapOf<Shown, Steps>(
  inner: FieldSpec<Shown, Steps>,
): FieldSpec<{ readonly [name: string]: Shown }, MapSteps<Steps>> {
  return {
    type: { of: inner.type },
    at: path => ({
      at: name => inner.at([...path, name]),
      clear: () => ({ op: 'clear', path }),
    }),
  }
}

/** Fields within a field. */
export function group<F extends FieldSpecs>(fields: F): FieldSpec<ShownFields<F>, RowSteps<F>> {
  return { type: { fields: typesOf(fields) }, at: path => stepsOf(fields, path) }
}

export const typesOf = (fields: FieldSpecs): Fields =>
  Object.fromEntries(Object.entries(fields).map(([name, { type }]) => [name, type]))

export const stepsOf = <F extends FieldSpecs>(fields: F, path: Path = []): RowSteps<F> =>
  Object.fromEntries(
    Object.entries(fields).map(([name, spec]) => [name, spec.at([...path, name])]),
  ) as RowSteps<F>
