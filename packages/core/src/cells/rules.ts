import { QuorateError } from '../base/errors.ts'
import type { ConflictRule } from './conflict-rule.ts'
import { lwwRule } from './lww.ts'
import { mergeFunctions, mergeRule } from './merge-functions.ts'
import { orderedRule } from './ordered.ts'
import { siblingsRule } from './siblings.ts'

const byKind = new Map<string, ConflictRule>([
  ['lww', lwwRule],
  ['siblings', siblingsRule],
  [orderedRule.kind, orderedRule],
  ...Object.entries(mergeFunctions).map(([name, resolve]): [string, ConflictRule] => [
    `merge:${name}`,
    mergeRule(name, resolve),
  ]),
])

/** Rules by which coordinators write; `ordered` rows are written by logs alone. */
export const conflictRuleKinds: readonly string[] = [...byKind.keys()].filter(
  kind => kind !== orderedRule.kind,
)

export function conflictRule(kind: string): ConflictRule {
  const rule = byKind.get(kind)
  if (rule === undefined) {
    throw new QuorateError(
      'BAD_TABLE',
      `unknown conflict rule "${kind}"; known: ${conflictRuleKinds.join(', ')}`,
      {
        data: { field: 'conflict.kind' },
      },
    )
  }
  return rule
}
