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
import type { ByteString, Incarnation, OperationId } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import type { Dot } from '../cells/cell.ts'
import { decodeCell, encodeCell } from '../cells/cell-codec.ts'
import { type Document, decodeDocument, encodeDocument } from '../cells/document.ts'
import { orderedCell } from '../cells/ordered.ts'
import type { LogKind } from '../leadership/log-kinds.ts'
import { applyUpdate, type CallSource, callsOf, freezeUpdate } from '../updates/apply-update.ts'
import type { Row, Update } from '../updates/update.ts'
import { ByteReader } from '../wire/byte-reader.ts'
import { ByteWriter } from '../wire/byte-writer.ts'
import * as s from '../wire/schema.ts'
import { decodeStatement, encodeStatement } from './change-input.ts'

/** Of the records that physical entries carry: grows with every change of how rows lie in the store. */
export const STORE_FORMAT = 1

export type Statement = { readonly put: Uint8Array } | { readonly delete: true } | { readonly update: Update }

/** A change that a leader has ordered: conditions have held, calls are frozen unless the table wants otherwise. */
export interface Change extends Dot {
  readonly operation: OperationId
  readonly key: ByteString
  readonly statement: Statement
  readonly causes?: Uint8Array | undefined
}

const rowKey = s.byteString<ByteString>(2 * limits.keyBytesMax + 16)
const value = s.bytes(limits.valueBytesMax)
/** Names the entry as a write: its operation, and the dot that its row carries. */
const name = {
  operation: s.fixed<OperationId>(16),
  actor: s.fixed<Incarnation>(8),
  stamp: s.stamp,
  /** What its writer knew (`CellValue.causes`). */
  causes: s.optional(s.bytes(limits.causesBytesMax)),
} as const

const bodySchema = s.variants({
  /** The first entry of an epoch: what lies before it is committed with it. */
  epoch: s.record({ leader: s.node, stamp: s.stamp }),
  statement: s.record({ ...name, key: rowKey, statement: s.bytes(2 * limits.valueBytesMax) }),
  physical: s.record({
    ...name,
    format: s.count,
    writes: s.list(s.record({ key: rowKey, cell: s.optional(s.bytes(limits.cellBytesMax)) }), 16),
  }),
  logical: s.record({ ...name, key: rowKey, before: s.optional(value), after: s.optional(value) }),
  /** A write that was tried before and is refused now: no try of it that comes later is applied. */
  refused: s.record({ operation: name.operation, stamp: s.stamp }),
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
export function execute(
  statement: Statement,
  before: Uint8Array | undefined,
  calls?: CallSource,
): Uint8Array | undefined {
  if ('put' in statement) return statement.put
  if ('delete' in statement) return undefined
  const row = before === undefined ? undefined : rowOf(decodeDocument(before))
  const { update } = statement
  // Made here, and on every other replica, each time with another answer: what a table asked for that does not freeze.
  return encodeDocument(applyUpdate(row, calls === undefined ? update : freezeUpdate(update, calls)))
}

export function rowOf(document: Document): Row {
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
  const { operation, actor, stamp, causes, key, statement } = change
  const named = { operation, actor, stamp, causes }
  switch (kind) {
    case 'statement':
      return { kind, ...named, key, statement: encodeStatement(statement) }
    case 'physical':
      return { kind, ...named, format: STORE_FORMAT, writes: [{ key, cell: cellOf(named, after) }] }
    case 'logical':
      return { kind, ...named, key, before, after }
  }
}

/** The row as the store keeps it. */
function cellOf(
  { operation, actor, stamp, causes }: Omit<Change, 'key' | 'statement'>,
  document: Uint8Array | undefined,
): Uint8Array | undefined {
  if (document === undefined) return undefined
  const value = { operation, actor, stamp, value: document }
  return encodeCell(orderedCell(causes === undefined ? value : { ...value, causes }))
}

/** The document in a stored row. */
export function documentOf(cell: Uint8Array | undefined): Uint8Array | undefined {
  return cell === undefined ? undefined : decodeCell(cell).values[0]?.value
}

/** What an entry leaves in the store under a key: undefined, no row. */
export interface RowEffect {
  readonly key: ByteString
  readonly cell: Uint8Array | undefined
}

/** What an entry makes of rows. `rowAt`: the document in the row as the entries before have left it. */
export function effectOf(
  body: LogBody,
  rowAt: (key: ByteString) => Uint8Array | undefined,
  calls?: CallSource,
): readonly RowEffect[] {
  switch (body.kind) {
    case 'epoch':
    case 'refused':
      return []
    case 'statement': {
      const { key, statement } = body
      return [{ key, cell: cellOf(body, execute(decodeStatement(statement), rowAt(key), calls)) }]
    }
    case 'physical':
      if (body.format !== STORE_FORMAT)
        throw new QuorateError(
          'PROTOCOL_VERSION',
          `a physical log of store format ${body.format} is of no use to this node, whose format is ${STORE_FORMAT}: nodes of both must run the same version, or the table ship its log as "logical"`,
          { data: { format: body.format, own: STORE_FORMAT } },
        )
      return body.writes
    case 'logical':
      return [{ key: body.key, cell: cellOf(body, body.after) }]
  }
}

/** Rows that an entry is about. */
export function keysOf(body: LogBody): readonly ByteString[] {
  if (body.kind === 'epoch' || body.kind === 'refused') return []
  return body.kind === 'physical' ? body.writes.map(({ key }) => key) : [body.key]
}

/** Why a statement would not be the same on every replica; undefined when it is. */
export function whyUnfrozen(statement: Statement): string | undefined {
  const calls = 'update' in statement ? callsOf(statement.update) : []
  if (calls.length === 0) return undefined
  const names = [...new Set(calls)].map(call => `${call}()`)
  return `every replica that executes the statement has another ${names.join(' and another ')}`
}
