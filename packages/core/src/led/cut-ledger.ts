/**
 * What a replica alone had, when its log is cut, as records of the ledger: each with its value and whether anyone can
 * have been told that it was done.
 *
 * An entry that the elections since were clean about was never committed: whoever wrote it heard nothing, or that the
 * outcome is unknown. After an unclean election nobody can tell: it may have been acknowledged.
 */

import type { TableId } from '../base/ids.ts'
import { encodeDocument } from '../cells/document.ts'
import { decodeStatement } from '../leader/change-input.ts'
import { decodeBody, documentOf } from '../leader/log-body.ts'
import type { CutEntry } from '../leader/replica.ts'
import type { NodeContext } from '../leaderless/node-context.ts'
import type { TableWrite } from '../ports/table.ts'

export function cutRecords(
  node: NodeContext,
  table: TableId,
  { epoch, body: bytes, wasCarriedOut }: CutEntry,
  unclean: number,
): readonly TableWrite[] {
  const body = decodeBody(bytes)
  if (body.kind === 'epoch' || body.kind === 'refused') return []
  const maybe = wasCarriedOut || unclean > epoch
  const reason = maybe ? 'cut-possibly-acknowledged' : 'cut-unacknowledged'
  const { operation, actor, stamp } = body
  const losers = valuesOf(body).map(({ key, value }) => ({ key, value: { operation, actor, stamp, value } }))
  const isStatement = body.kind === 'statement' && 'update' in decodeStatement(body.statement)
  return losers.flatMap(({ key, value }) => node.ledger.entries(table, key, [value], reason, { isStatement }))
}

/** Rows that the entry would have made; of a shipped statement, the statement: what it would make depends on the row. */
function valuesOf(body: Exclude<ReturnType<typeof decodeBody>, { kind: 'epoch' | 'refused' }>) {
  switch (body.kind) {
    case 'logical':
      return [{ key: body.key, value: body.after }]
    case 'physical':
      return body.writes.map(({ key, cell }) => ({ key, value: documentOf(cell) }))
    case 'statement': {
      const statement = decodeStatement(body.statement)
      if ('put' in statement) return [{ key: body.key, value: statement.put }]
      if ('delete' in statement) return [{ key: body.key, value: undefined }]
      return [{ key: body.key, value: encodeDocument({ update: statement.update as never }) }]
    }
  }
}
