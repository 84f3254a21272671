/**
 * Atoms: what one dot of a field stands for. A field is a cell of atoms (`cells/cell.ts`), so every type merges as cells
 * do; only reading knows what they add up to.
 *
 *   add    an addition to a counter             sum    additions that were put together
 *   put    a flag enabled, an element added     value  of a last-write-wins field
 *   edit   an update of a document              merged updates that were put together
 */

import { type Document, decodeDocument, encodeDocument } from '../cells/document.ts'

export type Atom =
  | { readonly kind: 'add'; readonly by: number }
  /** `atoms`: how many; of two under one dot, the one with more has the other in it. */
  | { readonly kind: 'sum'; readonly total: bigint; readonly atoms: number }
  | { readonly kind: 'put' }
  | { readonly kind: 'value'; readonly value: Document }
  | { readonly kind: 'edit'; readonly update: Uint8Array }
  | { readonly kind: 'merged'; readonly update: Uint8Array; readonly atoms: number }

/** Room for the envelope beside the largest value. */
export function encodeAtom(atom: Atom): Uint8Array {
  return encodeDocument(partsOf(atom), 'the value')
}

function partsOf(atom: Atom): Document {
  switch (atom.kind) {
    case 'add':
      return ['add', atom.by]
    case 'sum':
      return ['sum', atom.total, atom.atoms]
    case 'put':
      return ['put']
    case 'value':
      return ['value', atom.value]
    case 'edit':
      return ['edit', atom.update]
    case 'merged':
      return ['merged', atom.update, atom.atoms]
  }
}

export function decodeAtom(bytes: Uint8Array): Atom {
  const [kind, first, second] = decodeDocument(bytes, 'an atom') as [string, Document, Document]
  switch (kind) {
    case 'add':
      return { kind, by: first as number }
    case 'sum':
      return { kind, total: BigInt(first as number | bigint), atoms: second as number }
    case 'value':
      return { kind, value: first }
    case 'edit':
      return { kind, update: first as Uint8Array }
    case 'merged':
      return { kind, update: first as Uint8Array, atoms: second as number }
    default:
      return { kind: 'put' }
  }
}
