/**
 * Rule `merge:<name>`: siblings that are resolved on read by a named function. What is stored stays
 * siblings, so replicas merge as ever; a reader gets one value and a context that has seen them all.
 * The function must be deterministic and must not depend on the order of its input: it is given the
 * siblings in the order of their dots. Its result belongs to the reader only; writing it back is an
 * ordinary put with that context.
 */

import { isQuorateError } from '../base/errors.ts'
import { type Cell, liveValues } from './cell.ts'
import type { ConflictRule } from './conflict-rule.ts'
import {
  canonicalDocument,
  compareDocuments,
  type Document,
  decodeDocument,
  encodeDocument,
} from './document.ts'
import { siblingsRule } from './siblings.ts'

export type MergeFunction = (siblings: readonly Document[]) => Document

const isMap = (d: Document): d is { readonly [key: string]: Document } =>
  typeof d === 'object' &&
  d !== null &&
  !Array.isArray(d) &&
  !(d instanceof Set) &&
  !(d instanceof Uint8Array)

function greatest(siblings: readonly Document[]): Document {
  return siblings.reduce((best, next) => (compareDocuments(next, best) > 0 ? next : best))
}

/** Lists and sets: every element once, sorted. Maps: field by field. Otherwise the greatest value. */
function union(siblings: readonly Document[]): Document {
  if (siblings.every(isMap)) {
    const fields = new Map<string, Document[]>()
    for (const sibling of siblings) {
      for (const [key, value] of Object.entries(sibling as { [key: string]: Document })) {
        fields.set(key, [...(fields.get(key) ?? []), value])
      }
    }
    const out: Record<string, Document> = {}
    for (const key of [...fields.keys()].sort()) out[key] = union(fields.get(key)!)
    return out
  }
  const lists = siblings.every(sibling => Array.isArray(sibling))
  if (lists || siblings.every(sibling => sibling instanceof Set)) {
    const items = siblings.flatMap(sibling => [...(sibling as readonly Document[])]).sort(compareDocuments)
    const distinct = items.filter((item, i) => i === 0 || compareDocuments(item, items[i - 1]!) !== 0)
    return lists ? distinct : new Set(distinct)
  }
  return greatest(siblings)
}

function sizeOf(document: Document): number {
  if (typeof document === 'string' || document instanceof Uint8Array || Array.isArray(document))
    return document.length
  if (document instanceof Set) return document.size
  return isMap(document)
    ? Object.values(document).reduce<number>((sum, field) => sum + 1 + sizeOf(field), 0)
    : 0
}

function longest(siblings: readonly Document[]): Document {
  return siblings.reduce((best, next) => {
    const difference = sizeOf(next) - sizeOf(best)
    return difference > 0 || (difference === 0 && compareDocuments(next, best) > 0) ? next : best
  })
}

export const mergeFunctions: Readonly<Record<string, MergeFunction>> = { union, max: greatest, longest }

/** What a function is called by: `merge:NAME` is the rule. */
export const isMergeName = (name: string): boolean => /^[a-z][a-z0-9-]{0,63}$/.test(name)

/** Without `resolve`, which this process does not have, a reader sees siblings. */
export function mergeRule(name: string, resolve: MergeFunction | undefined): ConflictRule {
  return {
    ...siblingsRule,
    kind: `merge:${name}`,
    read(cell: Cell): readonly Uint8Array[] {
      const live = liveValues(cell)
      const siblings = live.map(value => value.value!)
      if (live.length <= 1 || resolve === undefined) return siblings
      try {
        return [encodeDocument(canonicalDocument(resolve(siblings.map(value => decodeDocument(value)))))]
      } catch (error) {
        // Too large together, say: what cannot be merged is shown as siblings, and nothing is lost.
        if (!isQuorateError(error)) throw error
        return siblings
      }
    },
  }
}
