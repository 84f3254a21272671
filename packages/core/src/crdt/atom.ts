/**
 * Atoms: what one dot of a merging row stands for. A row is a set of atoms under their dots, and the context of all dots
 * seen (`cells/cell.ts`); so every type merges as cells do, and only reading knows the types.
 *
 *   counter   what one actor has added: settled additions as a sum, the others each under its operation
 *   flag      an enabling
 *   or-set    an element, as added once
 *   lww       a value
 */

import type { OperationId } from '../base/ids.ts'
import type { Document } from '../cells/document.ts'
import { decodeDocument, encodeDocument } from '../cells/document.ts'
import type { Path } from '../updates/update.ts'

export type Atom =
  | { readonly kind: 'counter'; readonly path: Path; readonly settled: number; readonly added: Additions }
  | { readonly kind: 'flag'; readonly path: Path }
  | { readonly kind: 'or-set'; readonly path: Path; readonly element: Document }
  | { readonly kind: 'lww'; readonly path: Path; readonly value: Document }

export type Additions = readonly (readonly [operation: OperationId, by: number])[]

export function encodeAtom(atom: Atom): Uint8Array {
  return encodeDocument(partsOf(atom), 'an atom', Number.MAX_SAFE_INTEGER)
}

function partsOf(atom: Atom): Document {
  const { kind, path } = atom
  switch (kind) {
    case 'counter':
      return [kind, path, atom.settled, atom.added.flat()]
    case 'flag':
      return [kind, path]
    case 'or-set':
      return [kind, path, atom.element]
    case 'lww':
      return [kind, path, atom.value]
  }
}

export function decodeAtom(bytes: Uint8Array): Atom {
  const [kind, path, first, second] = decodeDocument(bytes, 'an atom') as [string, Path, Document, Document]
  switch (kind) {
    case 'counter': {
      const flat = second as readonly (OperationId | number)[]
      const added: [OperationId, number][] = []
      for (let i = 0; i < flat.length; i += 2) added.push([flat[i] as OperationId, flat[i + 1] as number])
      return { kind, path, settled: first as number, added }
    }
    case 'or-set':
      return { kind, path, element: first }
    case 'lww':
      return { kind, path, value: first }
    default:
      return { kind: 'flag', path }
  }
}
