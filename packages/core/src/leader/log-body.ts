/**
 * What an entry of a leader's log carries, in three forms, and what a follower makes of it.
 *
 *   statement  the operation, to be executed again: small, and the same everywhere only when nothing in it differs by
 *              where it is executed (`freezeUpdate`)
 *   physical   the bytes that the leader's store wrote: no work, and of no use to a store of another format
 *   logical    the row before and after: larger, for any store, and what a change feed tells
 *
 * Invariants: from the same row, the three forms of one change make the same row; an entry is executed once, at its
 * place in the log; an entry of another store format is refused, never tried.
 * References: Kleppmann, "Designing Data-Intensive Applications", ch. 5, "Implementation of Replication Logs".
 */

import { QuorateError } from '../base/errors.ts'
import type { ByteString, OperationId } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import { type Document, decodeDocument, encodeDocument } from '../cells/document.ts'
import { applyUpdate, callsOf } from '../updates/apply-update.ts'
import { checkUpdate, type Row, type Update } from '../updates/update.ts'
import { ByteReader } from '../wire/byte-reader.ts'
import { ByteWriter } from '../wire/byte-writer.ts'
import * as s from '../wire/schema.ts'

export const LOG_KINDS = ['statement', 'physical', 'logical'] as const
export type LogKind = (typeof LOG_KINDS)[number]

/** Of the records that physical entries carry: grows with every change of how rows lie in the store. */
export const STORE_FORMAT = 1

export type Statement = { readonly put: Uint8Array } | { readonly delete: true } | { readonly update: Update }

/** A change that a leader has ordered: conditions have held, calls are frozen unless the table wants otherwise. */
export interface Change {
  readonly operation: OperationId
  readonly key: ByteString
  readonly statement: Statement
}

const rowKey = s.byteString<ByteString>(2 * limits.keyBytesMax + 16)
const value = s.bytes(limits.valueBytesMax)
const operation = s.fixed<OperationId>(16)

const bodySchema = s.variants({
  /** The first entry of an epoch: what lies before it is committed with it. */
  epoch: s.record({ leader: s.node }),
  statement: s.record({ operation, key: rowKey, statement: s.bytes(2 * limits.valueBytesMax) }),
  physical: s.record({
    operation,
    format: s.count,
    writes: s.list(s.record({ key: rowKey, value: s.optional(value) }), 16),
  }),
  logical: s.record({ operation, key: rowKey, before: s.optional(value), after: s.optional(value) }),
})
export type LogBody = s.Shaped<typeof bodySchema>

export function encodeBody(body: LogBody): Uint8Array {
  const writer = new ByteWriter(256)
  bodySchema.write(writer, body)
  return writer.take()
}

export function decodeBody(bytes: Uint8Array): LogBody {
  const reader = new ByteReader(bytes)
  const body = bodySchema.read(reader)
  reader.end()
  return body
}

/** The row after a statement; undefined when there is none then. Throws BAD_REQUEST: nothing has changed. */
export function execute(statement: Statement, before: Uint8Array | undefined): Uint8Array | undefined {
  if ('put' in statement) return statement.put
  if ('delete' in statement) return undefined
  const row = before === undefined ? undefined : rowOf(decodeDocument(before))
  return encodeDocument(applyUpdate(row, statement.update))
}

function rowOf(document: Document): Row {
  const isMap = typeof document === 'object' && document !== null && !Array.isArray(document)
  if (isMap && !(document instanceof Uint8Array) && !(document instanceof Set)) return document as Row
  throw new QuorateError('BAD_REQUEST', 'the row is no map of fields and cannot be updated')
}

/** The entry for a change that made `after` of `before`. */
export function bodyOf(
  kind: LogKind,
  change: Change,
  before: Uint8Array | undefined,
  after: Uint8Array | undefined,
): LogBody {
  const { operation, key, statement } = change
  switch (kind) {
    case 'statement':
      return { kind, operation, key, statement: encodeStatement(statement) }
    case 'physical':
      return { kind, operation, format: STORE_FORMAT, writes: [{ key, value: after }] }
    case 'logical':
      return { kind, operation, key, before, after }
  }
}

/** What an entry makes of rows: each key with what it holds then. `rowAt`: the row as the entries before have left it. */
export function effectOf(
  body: LogBody,
  rowAt: (key: ByteString) => Uint8Array | undefined,
): readonly { readonly key: ByteString; readonly value: Uint8Array | undefined }[] {
  switch (body.kind) {
    case 'epoch':
      return []
    case 'statement':
      return [{ key: body.key, value: execute(decodeStatement(body.statement), rowAt(body.key)) }]
    case 'physical':
      if (body.format !== STORE_FORMAT)
        throw new QuorateError(
          'PROTOCOL_VERSION',
          `a physical log of store format ${body.format} is of no use to this node, whose format is ${STORE_FORMAT}: nodes of both must run the same version, or the table ship its log as "logical"`,
          { data: { format: body.format, own: STORE_FORMAT } },
        )
      return body.writes
    case 'logical':
      return [{ key: body.key, value: body.after }]
  }
}

/** Why a statement would not be the same on every replica; undefined when it is. */
export function whyUnfrozen({ statement }: Change): string | undefined {
  const calls = 'update' in statement ? callsOf(statement.update) : []
  if (calls.length === 0) return undefined
  return `${[...new Set(calls)].map(call => `${call}()`).join(', ')} differ on every replica that executes the statement`
}

function encodeStatement(statement: Statement): Uint8Array {
  return encodeDocument(statement as unknown as Document, 'the statement', 2 * limits.valueBytesMax)
}

function decodeStatement(bytes: Uint8Array): Statement {
  const statement = decodeDocument(bytes, 'a statement') as {
    put?: Document
    delete?: true
    update?: Document
  }
  if (statement.put instanceof Uint8Array) return { put: statement.put }
  if (statement.delete === true) return { delete: true }
  return { update: checkUpdate(statement.update) }
}
