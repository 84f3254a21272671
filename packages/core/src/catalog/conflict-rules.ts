/** The rules by which the conflicts of tables are settled, by their names: of whole rows, and of fields. */

import { QuorateError } from '../base/errors.ts'
import type { ConflictRule } from '../cells/conflict-rule.ts'
import { mergeRule } from '../cells/merge-functions.ts'
import { isMergeRule, type MergeModules } from '../cells/merge-modules.ts'
import { conflictRule, conflictRuleKinds } from '../cells/rules.ts'
import { fieldRule } from '../crdt/field-rule.ts'

/**
 * Throws BAD_TABLE. A merge function that is not built in need not be in this process: clients have none, and a node that
 * does not have it shows siblings.
 */
export function ruleNamed(kind: string, modules?: MergeModules): ConflictRule {
  if (kind === fieldRule.kind) return fieldRule
  const brought = modules?.rule(kind)
  if (brought !== undefined) return brought
  if (isMergeRule(kind) && !conflictRuleKinds.includes(kind))
    return mergeRule(kind.slice(kind.indexOf(':') + 1), undefined)
  try {
    return conflictRule(kind)
  } catch (cause) {
    const known = [...conflictRuleKinds, fieldRule.kind].join(', ')
    throw new QuorateError('BAD_TABLE', `unknown conflict rule "${kind}"; known: ${known}`, {
      data: { field: 'conflict.kind' },
      cause,
    })
  }
}

/** A table is made where its function is. Throws BAD_TABLE. */
export function refuseMissingFunction(kind: string, modules: MergeModules | undefined): void {
  if (!isMergeRule(kind) || conflictRuleKinds.includes(kind) || modules?.rule(kind) !== undefined) return
  const known = [...conflictRuleKinds.filter(isMergeRule), ...(modules?.names ?? [])].join(', ')
  throw new QuorateError(
    'BAD_TABLE',
    `this node has no merge function for "${kind}"; known: ${known}. Others are modules named in the configuration of every node: mergeModules: [./my-merge.mjs]`,
    { data: { field: 'conflict.kind' } },
  )
}
