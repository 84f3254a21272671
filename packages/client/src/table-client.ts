/** One table as its users see it. */

import {
  type ByteString,
  decodeContextToken,
  encodeDocument,
  encodeKey,
  fieldsOf,
  isOrdered,
  isQuorateError,
  type KeyValue,
  keyOfRow,
  keyOfWrite,
  type MergeStep,
  type OperationId,
  placeOfPart,
  QuorateError,
  type ReadReply,
  readMessage,
  rowKeyParts,
  type Statement,
  type TableId,
  type TableView,
  type Update,
  type WriteReply,
  writeMessage,
  writePartsOf,
} from '@quorate/core'
import {
  type ChangeEvent,
  type ChangesOptions,
  type ChangesReader,
  forgetReader,
  listReaders,
  readChanges,
} from './change-feed.ts'
import type { CallOptions, Place, QuorateClient } from './client.ts'
import { readTogether } from './get-many.ts'
import { type Changed, refuseQuorums, refuseUnordered, sendChange } from './led-writes.ts'
import { levelByte } from './level.ts'
import {
  applySteps,
  clearAll,
  declaredFields,
  documentAt,
  type MergingTable,
  mergedRange,
  type RawPages,
  readMerging,
  refuseOtherFields,
  stepsGiven,
} from './merging-rows.ts'
import { withOperation } from './operation.ts'
import { RangeReader } from './range-reader.ts'
import { decodeRow, RangeRow } from './range-row.ts'
import { wantedOf } from './read-wanted.ts'
import { makeReceipt } from './receipt.ts'
import type { StoreRange } from './resume-token.ts'
import { aboutRow, rowText } from './row-name.ts'
import { SharedDocument, type SharedDocumentOptions } from './shared-document.ts'
import { mergeParts, type RawRow, type RawRows, wholeRows } from './split-ranges.ts'
import { left, movedTo, queryRange, scanRange, unlimited } from './store-ranges.ts'
import {
  type EncodedKey,
  encodeRowKey,
  type KeyInput,
  type Row,
  type RowValidator,
  type TableHandle,
} from './table.ts'
import type { GetOptions, GetResult, PutOptions, PutResult, RangeOptions } from './table-options.ts'

/** Errors of nodes about what one row holds, which do not name the row themselves. */
const BOUNDS_OF_ROWS: ReadonlySet<string> = new Set(['TOO_MANY_SIBLINGS', 'VALUE_TOO_LARGE'])

export class TableClient<T extends object, Steps = unknown> {
  readonly #client: QuorateClient
  readonly #handle: TableHandle<T, Steps>

  constructor(client: QuorateClient, handle: TableHandle<T, Steps>) {
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
    refuseOtherFields(name, view, this.#handle.fields)
    return view
  }

  #placeOf(view: TableView, partitionKey: ByteString, sortKey: ByteString, anyHome = false): () => Place {
    const key = keyOfRow(view, partitionKey, sortKey)
    return () => ({ ...this.#placeAt(view.descriptor.id, key), anyHome })
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
    if (isOrdered(view.descriptor)) return this.#change(view, key, { put: value }, options)
    return this.#write(view, key, value, options)
  }

  /** What a leader orders. */
  async #change(
    view: TableView,
    key: EncodedKey,
    statement: Statement,
    options: PutOptions,
  ): Promise<PutResult> {
    const { name } = view.descriptor
    refuseQuorums(view, options)
    const operation = options.operation ?? this.#client.newOperation()
    const place = this.#placeOf(view, key.partitionKey, key.sortKey)
    try {
      const send = (session?: Uint8Array): Promise<Changed> =>
        sendChange(this.#client, view, place, key, statement, operation, options, session)
      return await (options.session === undefined ? send() : options.session.run(send))
    } catch (error) {
      const isBound = isQuorateError(error) && BOUNDS_OF_ROWS.has(error.code)
      throw withOperation(isBound ? aboutRow(error, name, rowText(key)) : error, operation)
    }
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
    if (isOrdered(view.descriptor)) return this.#change(view, encoded, { delete: true }, options)
    if (fieldsOf(view.descriptor) !== undefined) return this.#apply(view, encoded, clearAll(view), options)
    return this.#write(view, encoded, undefined, options)
  }

  /**
   * Steps on the fields of a row that merges by itself; each merges with what others do at the same time. They are
   * carried out beside each other, not together.
   */
  async apply(
    key: KeyInput,
    change: readonly MergeStep[] | ((row: Steps) => MergeStep | readonly MergeStep[]),
    options: PutOptions = {},
  ): Promise<PutResult> {
    const encoded = this.#key(key)
    const view = this.#knownView() ?? (await this.#view())
    return this.#apply(view, encoded, stepsGiven(this.#handle, change), options)
  }

  /** A Yjs document that is a field of a row. */
  openDocument(
    key: KeyInput,
    path: readonly string[],
    options: SharedDocumentOptions & CallOptions = {},
  ): Promise<SharedDocument> {
    const { timeoutMs } = options
    const field = {
      clock: this.#client.clock,
      newOperation: () => this.#client.newOperation(),
      read: async () => documentAt((await this.get(key, { timeoutMs })).value, path),
      write: (update: Uint8Array, operation: OperationId) =>
        this.apply(key, [{ op: 'edit', path, update }], { operation, timeoutMs }),
    }
    return SharedDocument.open(field, options)
  }

  async #apply(
    view: TableView,
    key: EncodedKey,
    steps: readonly MergeStep[],
    options: PutOptions,
  ): Promise<PutResult> {
    const operation = options.operation ?? this.#client.newOperation()
    refuseUnordered(view.descriptor.name, options)
    try {
      return await applySteps(this.#merging(view), key, steps, options, operation)
    } catch (error) {
      throw withOperation(error, operation)
    }
  }

  #merging(view: TableView): MergingTable {
    return {
      client: this.#client,
      view,
      fields: declaredFields(view),
      read: (from, to, { w, ...options }) => this.#raw(view, { from, to, reverse: false }, options),
    }
  }

  async #write(
    view: TableView,
    key: EncodedKey,
    value: Uint8Array | undefined,
    options: PutOptions,
  ): Promise<PutResult> {
    const { id, name, replication } = view.descriptor
    refuseUnordered(name, options)
    const { partitionKey, sortKey } = key
    const operation = options.operation ?? this.#client.newOperation()
    const level = levelByte(options.w, 'w')
    const context = options.context
    const writtenKey = keyOfWrite(view, { partitionKey, sortKey, operation, value, context })
    const place = (): Place => this.#placeAt(id, writtenKey)
    if (context !== undefined) decodeContextToken(context)
    const strict = options.strict ?? false
    const write = (session?: Uint8Array): Promise<WriteReply> =>
      this.#client.send(
        writeMessage,
        place,
        partition => ({
          table: id as number,
          mapVersion: partition.version,
          partitionKey,
          sortKey,
          level,
          hops: 0,
          session,
          operation,
          value,
          context,
          strict,
        }),
        options,
        true,
      )
    try {
      const reply = await (options.session === undefined ? write() : options.session.run(write))
      const receipt = makeReceipt('write', reply.receipt, replication)
      const { repeated } = reply
      return { context: new Uint8Array(reply.context), receipt, repeated, applied: true, current: undefined }
    } catch (error) {
      const isBound = isQuorateError(error) && BOUNDS_OF_ROWS.has(error.code)
      throw withOperation(isBound ? aboutRow(error, name, rowText(key)) : error, operation)
    }
  }

  async get(key: KeyInput, options: GetOptions<T> = {}): Promise<GetResult<T>> {
    const encoded = this.#key(key)
    return this.#get(this.#knownView() ?? (await this.#view()), encoded, options)
  }

  async #get(view: TableView, encoded: EncodedKey, options: GetOptions<T>): Promise<GetResult<T>> {
    if (fieldsOf(view.descriptor) !== undefined)
      return readMerging<T>(this.#merging(view), encoded, range => this.#pages(view, range, options))
    return this.#rowOf(view, await this.#read(view, encoded, options), options)
  }

  #rowOf(view: TableView, reply: ReadReply, options: GetOptions<T>): GetResult<T> {
    const receipt = makeReceipt('read', reply.receipt, view.descriptor.replication)
    const row = decodeRow<T>({ ...reply, receipt })
    if (options.resolve === undefined || row.siblings.length < 2) return row
    return { ...row, value: options.resolve(row.siblings) }
  }

  /**
   * Several rows, none of which shows the effect of a write that another lacks (get-many.ts). Without a session they are
   * so among themselves; in one, also beside what it has seen.
   */
  async getMany(keys: readonly KeyInput[], options: GetOptions<T> = {}): Promise<GetResult<T>[]> {
    const encoded = keys.map(key => this.#key(key))
    const view = this.#knownView() ?? (await this.#view())
    if (fieldsOf(view.descriptor) !== undefined)
      return Promise.all(encoded.map(key => this.#get(view, key, options)))
    const session = options.session ?? this.#client.session()
    const inSession = { ...options, session }
    return readTogether(
      () => this.#knownView() ?? view,
      session,
      encoded,
      async key => {
        const reply = await this.#read(view, key, inSession)
        return { result: this.#rowOf(view, reply, inSession), token: reply.session! }
      },
    )
  }

  #read(view: TableView, { partitionKey, sortKey }: EncodedKey, options: GetOptions<T>): Promise<ReadReply> {
    const { id } = view.descriptor
    const { level, staleMs, anyHome } = wantedOf(view, options)
    const read = (session?: Uint8Array): Promise<ReadReply> =>
      this.#client.send(
        readMessage,
        this.#placeOf(view, partitionKey, sortKey, anyHome),
        partition => ({
          table: id as number,
          mapVersion: partition.version,
          partitionKey,
          sortKey,
          level,
          hops: 0,
          session,
          staleMs,
        }),
        options,
        false,
      )
    return options.session === undefined ? read() : options.session.run(read)
  }

  /**
   * Read, change, write back with the context; on tables with leaders also steps, in one message. Siblings are given to `resolve`, or the update fails with
   * CONFLICT. A concurrent write becomes a sibling (or a ledger entry under `lww`), never a silent loss.
   */
  async update(
    key: KeyInput,
    change: ((row: T) => T) | Update,
    options: PutOptions & GetOptions<T> = {},
  ): Promise<PutResult> {
    if (typeof change !== 'function') return this.#updateBySteps(key, change, options)
    for (;;) {
      const result = await this.#updateOnce(key, change, options)
      // Somebody was first: the row is read again, and changed as it is now.
      if (result.applied || options.if !== undefined) return result
    }
  }

  /** One message: the steps are carried out where the writes of the row are ordered. */
  async #updateBySteps(key: KeyInput, update: Update, options: PutOptions): Promise<PutResult> {
    const encoded = this.#key(key)
    const view = this.#knownView() ?? (await this.#view())
    const { name } = view.descriptor
    if (!isOrdered(view.descriptor))
      throw new QuorateError(
        'BAD_REQUEST',
        `"${name}" is leaderless: steps have no one row to work on; give update a function of the row`,
      )
    return this.#change(view, encoded, { update }, options)
  }

  async #updateOnce(
    key: KeyInput,
    change: (row: T) => T,
    options: PutOptions & GetOptions<T>,
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

  /** What is committed from now on, or from where a reader left off; in order within each partition. */
  async *changes(options: ChangesOptions = {}): AsyncGenerator<ChangeEvent<T>, void, undefined> {
    yield* readChanges<T>(this.#client, await this.#view(), options)
  }

  /** Readers of the feed whose places are kept, and for whom logs are. */
  async changesReaders(): Promise<readonly ChangesReader[]> {
    return listReaders(this.#client, await this.#view())
  }

  /** Logs are kept for this reader no longer. False: there was none of the name. */
  async forgetChangesReader(name: string): Promise<boolean> {
    return forgetReader(this.#client, await this.#view(), name)
  }

  /** Rows of one partition key in sort-key order. */
  async *query(
    partition: KeyValue | Row,
    options: RangeOptions = {},
  ): AsyncGenerator<RangeRow<T>, void, undefined> {
    const view = await this.#view()
    const { name, partition: field } = this.#handle
    const isRow = typeof partition === 'object' && partition !== null && !(partition instanceof Uint8Array)
    const value = isRow ? (partition as Row)[field] : partition
    if (value === undefined)
      throw new QuorateError('BAD_REQUEST', `a query of "${name}" needs the partition key "${field}"`)
    const place = (part: number): ByteString =>
      placeOfPart(view, { partitionKey: encodeKey(value as KeyValue), sortKey: '' as ByteString }, part).key
    const whole = queryRange(place(0), options)
    const range = left(whole, options)
    if (fieldsOf(view.descriptor) !== undefined)
      return yield* mergedRange<T>(
        this.#merging(view),
        this.#raw(view, range, unlimited(options)),
        whole,
        options,
      )
    const parts = writePartsOf(view.descriptor)
    const rows =
      parts === 1
        ? this.#raw(view, range, options)
        : mergeParts(
            Array.from({ length: parts }, (_, part) =>
              this.#raw(view, movedTo(place(part), range, place(0)), unlimited(options)),
            ),
            options,
            key => this.#readWhole(view, key, options),
          )
    for await (const row of rows) yield new RangeRow<T>(decodeRow(row), row.key, whole)
  }

  /**
   * Every row, from several partitions at once, in the order of the store: on range tables that of the partition
   * keys, and `from`, `to` and `reverse` are of these; on others no order of meaning to a user.
   */
  async *scan(options: RangeOptions = {}): AsyncGenerator<RangeRow<T>, void, undefined> {
    const view = await this.#view()
    const whole = scanRange(view, options)
    if (fieldsOf(view.descriptor) !== undefined)
      return yield* mergedRange<T>(
        this.#merging(view),
        this.#raw(view, left(whole, options), unlimited(options)),
        whole,
        options,
      )
    if (writePartsOf(view.descriptor) === 1) {
      for await (const row of this.#raw(view, left(whole, options), options))
        yield new RangeRow<T>(decodeRow(row), row.key, whole)
      return
    }
    if (options.resume !== undefined)
      throw new QuorateError(
        'BAD_REQUEST',
        `"${view.descriptor.name}" keeps its rows in parts: a scan of it meets rows in many places and cannot go on from one`,
      )
    const rows = wholeRows(this.#raw(view, whole, unlimited(options)), options, key =>
      this.#readWhole(view, key, options),
    )
    for await (const row of rows) yield new RangeRow<T>(decodeRow(row), row.key, undefined)
  }

  /** The row at this key of the store, or of which a part is there. */
  async #readWhole(
    view: TableView,
    key: ByteString,
    { r, timeoutMs, session }: RangeOptions,
  ): Promise<RawRow> {
    const call = { timeoutMs, session }
    const { receipt, values, context } = await this.#read(view, rowKeyParts(key), { ...call, r })
    return { key, values, context, receipt: makeReceipt('read', receipt, view.descriptor.replication) }
  }

  async *#raw(view: TableView, range: StoreRange, options: RangeOptions): RawRows {
    for await (const { rows, receipt } of this.#pages(view, range, options))
      for (const row of rows) yield { ...row, receipt }
  }

  async *#pages(view: TableView, range: StoreRange, options: RangeOptions): RawPages {
    const { id, replication } = view.descriptor
    const reader = new RangeReader(this.#client, id, range, { ...options, ...wantedOf(view, options) })
    for await (const { rows, receipt } of reader.pages())
      yield { rows, receipt: makeReceipt('read', receipt, replication) }
  }
}
