/** One table as its users see it. */

import {
  type ByteString,
  decodeContextToken,
  decodeDocument,
  encodeDocument,
  encodeKey,
  isQuorateError,
  joinContextTokens,
  type KeyValue,
  keyOfRow,
  keyOfWrite,
  type OperationId,
  placeOfPart,
  prefixEnd,
  QuorateError,
  type ReadReply,
  rangeMessage,
  readMessage,
  rowKeyParts,
  type TableId,
  type TableView,
  tablePrefix,
  writeMessage,
  writePartsOf,
} from '@quorate/core'
import type { CallOptions, Place, QuorateClient } from './client.ts'
import { type Level, levelByte } from './level.ts'
import { operationToHex } from './operation.ts'
import { makeReceipt, type Receipt } from './receipt.ts'
import { aboutRow, rowText } from './row-name.ts'
import { mergeParts, type RawRow, type RawRows, wholeRows } from './split-ranges.ts'
import {
  type EncodedKey,
  encodeRowKey,
  type KeyInput,
  type Row,
  type RowValidator,
  type TableHandle,
} from './table.ts'

/** What a read saw of a row; give it back with the write that builds on it. Opaque. */
export type ContextToken = Uint8Array

export interface GetOptions<T> extends CallOptions {
  readonly r?: Level | undefined
  /** `any` one replica, `quorum` a majority; default: the table's r. `r` takes precedence. */
  readonly read?: 'any' | 'quorum' | undefined
  /** Settles siblings for this read; its result is not written back. */
  readonly resolve?: ((siblings: readonly T[]) => T) | undefined
}

export interface PutOptions extends CallOptions {
  readonly w?: Level | undefined
  /** From a read; without it the write is concurrent with everything (see GUARANTEES). */
  readonly context?: ContextToken | undefined
  /** On a sloppy table: count home replicas only for this write. */
  readonly strict?: boolean | undefined
  /** Name of the operation, for callers that retry over process lives: `operationFromHex`. */
  readonly operation?: OperationId | undefined
}

export interface GetResult<T> {
  /** The row; undefined when there is none, or when it has siblings that nothing resolved. */
  readonly value: T | undefined
  /** Concurrent values; one when there is no conflict, none when there is no row. */
  readonly siblings: readonly T[]
  readonly context: ContextToken
  readonly receipt: Receipt
}

export interface PutResult {
  readonly context: ContextToken
  readonly receipt: Receipt
  /** The operation had been applied before: this was a retry. */
  readonly repeated: boolean
}

export interface RowResult<T> {
  readonly value: T | undefined
  readonly siblings: readonly T[]
  readonly context: ContextToken
  /** Of the page that the row came with. */
  readonly receipt: Receipt
}

export interface RangeOptions extends CallOptions {
  readonly r?: Level | undefined
  /** First and last sort key, inclusive; default all. */
  readonly from?: KeyValue | undefined
  readonly to?: KeyValue | undefined
  readonly reverse?: boolean | undefined
  /** Rows in all; default no limit. */
  readonly limit?: number | undefined
  readonly pageSize?: number | undefined
}

const PAGE_ROWS = 500
/** Errors of nodes about what one row holds, which do not name the row themselves. */
const BOUNDS_OF_ROWS: ReadonlySet<string> = new Set(['TOO_MANY_SIBLINGS', 'VALUE_TOO_LARGE'])

export class TableClient<T extends object> {
  readonly #client: QuorateClient
  readonly #handle: TableHandle<T>

  constructor(client: QuorateClient, handle: TableHandle<T>) {
    this.#client = client
    this.#handle = handle
  }

  async #view(): Promise<TableView> {
    await this.#client.describe(this.#handle.name)
    return this.#knownView()!
  }

  /** The table as it is known here; undefined when it must be asked for. */
  #knownView(): TableView | undefined {
    const { name, partition, sort } = this.#handle
    const view = this.#client.router.catalog.findNamed(name)
    if (view === undefined) return undefined
    const { key } = view.descriptor
    if (key.partition !== partition || key.sort !== sort) {
      const given = sort === undefined ? partition : `${partition}, ${sort}`
      const real = key.sort === undefined ? key.partition : `${key.partition}, ${key.sort}`
      throw new QuorateError(
        'BAD_REQUEST',
        `table "${name}" has the key (${real}); this program was written for (${given})`,
      )
    }
    return view
  }

  #placeOf(view: TableView, partitionKey: ByteString, sortKey: ByteString): () => Place {
    const key = keyOfRow(view, partitionKey, sortKey)
    return () => this.#placeAt(view.descriptor.id, key)
  }

  #placeAt(id: TableId, key: ByteString): Place {
    const { map } = this.#client.router.catalog.view(id)
    return { map, partition: map.locate(key) }
  }

  #key(input: KeyInput): EncodedKey {
    return encodeRowKey(this.#handle as TableHandle<never>, input)
  }

  async #validate(row: T, schema: RowValidator<T>): Promise<void> {
    const checked = await schema['~standard'].validate(row)
    if (checked.issues === undefined) return
    const message = checked.issues.map(issue => issue.message).join('; ')
    throw new QuorateError('BAD_REQUEST', `the row is not valid: ${message}`)
  }

  async put(row: T, options: PutOptions = {}): Promise<PutResult> {
    const { schema } = this.#handle
    if (schema !== undefined) await this.#validate(row, schema)
    const key = this.#key(row as unknown as Row)
    const value = this.#encode(row, key)
    const view = this.#knownView() ?? (await this.#view())
    return this.#write(view, key, value, options)
  }

  #encode(row: T, key: EncodedKey): Uint8Array {
    try {
      return encodeDocument(row)
    } catch (error) {
      throw aboutRow(error, this.#handle.name, rowText(key))
    }
  }

  async delete(key: KeyInput, options: PutOptions = {}): Promise<PutResult> {
    const encoded = this.#key(key)
    const view = this.#knownView() ?? (await this.#view())
    return this.#write(view, encoded, undefined, options)
  }

  async #write(
    view: TableView,
    key: EncodedKey,
    value: Uint8Array | undefined,
    options: PutOptions,
  ): Promise<PutResult> {
    const { id, name, replication } = view.descriptor
    const { partitionKey, sortKey } = key
    const operation = options.operation ?? this.#client.newOperation()
    const level = levelByte(options.w, 'w')
    const context = options.context
    const writtenKey = keyOfWrite(view, { partitionKey, sortKey, operation, value, context })
    const place = (): Place => this.#placeAt(id, writtenKey)
    if (context !== undefined) decodeContextToken(context)
    const strict = options.strict ?? false
    const sent = this.#client.send(
      writeMessage,
      place,
      partition => ({
        table: id as number,
        mapVersion: partition.version,
        partitionKey,
        sortKey,
        level,
        hops: 0,
        operation,
        value,
        context,
        strict,
      }),
      options,
      true,
    )
    try {
      const reply = await sent
      const receipt = makeReceipt('write', reply.receipt, replication)
      return { context: new Uint8Array(reply.context), receipt, repeated: reply.repeated }
    } catch (error) {
      const isBound = isQuorateError(error) && BOUNDS_OF_ROWS.has(error.code)
      throw withOperation(isBound ? aboutRow(error, name, rowText(key)) : error, operation)
    }
  }

  async get(key: KeyInput, options: GetOptions<T> = {}): Promise<GetResult<T>> {
    const encoded = this.#key(key)
    const view = this.#knownView() ?? (await this.#view())
    const reply = await this.#read(view, encoded, options)
    const receipt = makeReceipt('read', reply.receipt, view.descriptor.replication)
    const row = decodeRow<T>({ ...reply, receipt })
    if (options.resolve === undefined || row.siblings.length < 2) return row
    return { ...row, value: options.resolve(row.siblings) }
  }

  #read(view: TableView, { partitionKey, sortKey }: EncodedKey, options: GetOptions<T>): Promise<ReadReply> {
    const { id } = view.descriptor
    const level = levelByte(options.r ?? (options.read === 'any' ? 'one' : options.read), 'r')
    return this.#client.send(
      readMessage,
      this.#placeOf(view, partitionKey, sortKey),
      partition => ({
        table: id as number,
        mapVersion: partition.version,
        partitionKey,
        sortKey,
        level,
        hops: 0,
      }),
      options,
      false,
    )
  }

  /**
   * Read, change, write back with the context. Siblings are given to `resolve`, or the update fails with
   * CONFLICT. A concurrent write becomes a sibling (or a ledger entry under `lww`), never a silent loss.
   */
  async update(
    key: KeyInput,
    change: (row: T) => T,
    options: PutOptions & GetOptions<T> = {},
  ): Promise<PutResult> {
    const found = await this.get(key, options)
    if (found.siblings.length === 0) {
      throw new QuorateError('NOT_FOUND', `there is no such row in "${this.#handle.name}" to update`)
    }
    if (found.value === undefined) {
      throw new QuorateError(
        'CONFLICT',
        `the row has ${found.siblings.length} siblings; give update a resolve function`,
        {
          data: { siblings: found.siblings.length },
        },
      )
    }
    return this.put(change(found.value), { ...options, context: found.context })
  }

  /** Rows of one partition key in sort-key order. */
  async *query(
    partition: KeyValue | Row,
    options: RangeOptions = {},
  ): AsyncGenerator<RowResult<T>, void, undefined> {
    const view = await this.#view()
    const { name, partition: field } = this.#handle
    const isRow = typeof partition === 'object' && partition !== null && !(partition instanceof Uint8Array)
    const value = isRow ? (partition as Row)[field] : partition
    if (value === undefined)
      throw new QuorateError('BAD_REQUEST', `a query of "${name}" needs the partition key "${field}"`)
    const partitionKey = encodeKey(value as KeyValue)
    const parts = writePartsOf(view.descriptor)
    const rowsOf = (part: number): RawRows => {
      const prefix = placeOfPart(view, { partitionKey, sortKey: '' as ByteString }, part).key
      const from = options.from === undefined ? prefix : ((prefix + encodeKey(options.from)) as ByteString)
      const to =
        options.to === undefined
          ? prefixEnd(prefix)!
          : ((prefix + encodeKey(options.to) + '\0') as ByteString)
      if (from > to)
        throw new QuorateError('BAD_REQUEST', 'the query ends before it starts: "from" is greater than "to"')
      return this.#range(view, from, to, parts === 1 ? options : unlimited(options))
    }
    const rows =
      parts === 1
        ? rowsOf(0)
        : mergeParts(
            Array.from({ length: parts }, (_, part) => rowsOf(part)),
            options,
            key => this.#readWhole(view, key, options),
          )
    for await (const row of rows) yield decodeRow<T>(row)
  }

  /** Every row, partition by partition: on range tables in key order, on others in no order of meaning to a user. */
  async *scan(
    options: Omit<RangeOptions, 'from' | 'to' | 'reverse'> = {},
  ): AsyncGenerator<RowResult<T>, void, undefined> {
    const view = await this.#view()
    const prefix = tablePrefix(view.descriptor.id)
    const end = prefixEnd(prefix)!
    const rows =
      writePartsOf(view.descriptor) === 1
        ? this.#range(view, prefix, end, options)
        : wholeRows(this.#range(view, prefix, end, unlimited(options)), options, key =>
            this.#readWhole(view, key, options),
          )
    for await (const row of rows) yield decodeRow<T>(row)
  }

  /** The row at this key of the store, or of which a part is there. */
  async #readWhole(view: TableView, key: ByteString, { r, timeoutMs }: RangeOptions): Promise<RawRow> {
    const call = timeoutMs === undefined ? {} : { timeoutMs }
    const { receipt, values, context } = await this.#read(view, rowKeyParts(key), { ...call, r })
    return { key, values, context, receipt: makeReceipt('read', receipt, view.descriptor.replication) }
  }

  /**
   * Rows between two store keys, page by page, each page from the partition that has its first key then: a
   * partition that is cut or goes to other nodes meanwhile loses and repeats nothing.
   */
  async *#range(view: TableView, from: ByteString, to: ByteString, options: RangeOptions): RawRows {
    const { id } = view.descriptor
    const reverse = options.reverse ?? false
    let [start, end] = [from, to]
    let left = options.limit ?? Number.MAX_SAFE_INTEGER
    const level = levelByte(options.r, 'r')
    while (left > 0 && start < end) {
      const limit = Math.min(left, options.pageSize ?? PAGE_ROWS)
      // The part of the range in the partition at its near end, as the map is when the page is asked for.
      let asked = { from: start, to: end }
      const reply = await this.#client.send(
        rangeMessage,
        () => this.#edge(id, start, end, reverse),
        partition => {
          asked = {
            from: start > partition.from ? start : partition.from,
            to: end < partition.to ? end : partition.to,
          }
          const { version } = partition
          return { table: id as number, mapVersion: version, level, hops: 0, ...asked, reverse, limit }
        },
        options,
        false,
      )
      const receipt = makeReceipt('read', reply.receipt, view.descriptor.replication)
      for (const row of reply.rows) {
        yield { ...row, receipt }
        if (--left <= 0) return
      }
      if (reverse) end = reply.resume ?? asked.from
      else start = reply.resume ?? asked.to
    }
  }

  /** Where the next page of a range comes from. */
  #edge(id: TableId, start: ByteString, end: ByteString, reverse: boolean): Place {
    const place = this.#placeAt(id, reverse ? end : start)
    if (!reverse || place.partition.from < end) return place
    // `end` is exclusive, and a boundary: the rows before it are in the partition before.
    const { map, partition } = place
    const before = map.partitions[map.partitions.indexOf(partition) - 1]
    return { map, partition: before ?? partition }
  }
}

/** Whoever must repeat a write whose outcome is unknown needs the name of the operation. */
function withOperation(error: unknown, operation: OperationId): unknown {
  if (!isQuorateError(error) || error.outcome !== 'unknown') return error
  const { code, message, outcome, data, attempts } = error
  return new QuorateError(code, message, {
    outcome,
    data: { ...data, operation: operationToHex(operation) },
    attempts,
    cause: error,
  })
}

/** Limits count rows, and what is read on the way to them are parts; a page need not be larger than what is wanted. */
function unlimited({ limit, pageSize = PAGE_ROWS, ...options }: RangeOptions): RangeOptions {
  return { ...options, pageSize: Math.max(1, Math.min(pageSize, limit ?? pageSize)) }
}

function decodeRow<T>({ values, context, receipt }: Omit<RawRow, 'key'>): RowResult<T> {
  const siblings = values.map(value => decodeDocument(value) as T)
  return {
    value: siblings.length === 1 ? siblings[0] : undefined,
    siblings,
    context: new Uint8Array(context),
    receipt,
  }
}

/** One context that has seen what each of several has. */
export function joinContexts(tokens: readonly ContextToken[]): ContextToken {
  return joinContextTokens(tokens)
}
