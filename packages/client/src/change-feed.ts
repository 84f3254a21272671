/**
 * Changes of a table as they are committed: in order within each partition, from where the reader left off, whoever leads
 * and wherever the partitions move meanwhile.
 *
 * Each partition is asked by itself, and waits at a node until there is something to tell. The place reached in all of
 * them is in the token of every event, so that another process can go on behind it. A reader with a name has its place
 * kept by the cluster, which keeps the log for it; what it has asked for more after is what it has had, so that an event
 * may come twice when its process dies, and none is passed over.
 */

import {
  beforeAll,
  type ChangesReply,
  changesMessage,
  comparePoints,
  decodeDocument,
  decodeKey,
  feedReadersMessage,
  isQuorateError,
  type KeyValue,
  type LogPoint,
  ledOf,
  limits,
  QuorateError,
  rowKeyParts,
  saveFeedReaderMessage,
  stampMs,
  type TableView,
  type Timer,
} from '@quorate/core'
import type { AbortSignalLike, Place, QuorateClient } from './client.ts'
import { operationToHex } from './operation.ts'

export interface ChangesOptions {
  /** `now` (the default), `start`, or the `resume` of an event. */
  readonly from?: 'now' | 'start' | string | undefined
  readonly signal?: AbortSignalLike | undefined
  /** Ends when everything that was committed at the beginning has been told. Default: goes on. */
  readonly untilNow?: boolean | undefined
  /** Ends after so many events. */
  readonly limit?: number | undefined
  /**
   * Name of a reader whose place the cluster keeps, and for whom logs are kept: for a week without a word of it, and up to
   * what a log may be long. It goes on where it was; `from` says where a new one begins. One process at a time.
   */
  readonly reader?: string | undefined
}

/** A reader of the feed whose place is kept. */
export interface ChangesReader {
  readonly name: string
  /** When it was heard of last, milliseconds since 1970. */
  readonly atMs: number
  /** What `changes({ from })` takes. */
  readonly resume: string
}

export type ChangeEvent<T> =
  | {
      readonly kind: 'change'
      readonly partition: number
      readonly position: string
      /** Milliseconds since 1970, by the clock of the leader. */
      readonly atMs: number
      readonly operation: string
      readonly key: readonly KeyValue[]
      /** The row before and after; undefined: there was none, or there is none. */
      readonly before: T | undefined
      readonly after: T | undefined
      readonly resume: string
    }
  /** An unclean election has rolled the partition back: events behind `position` are of changes that are gone. */
  | {
      readonly kind: 'truncated'
      readonly partition: number
      readonly position: string
      readonly resume: string
    }

/** Of a partition with nothing to tell. Less than a try at one node lasts (tries.ts): else waiting would look like not answering. */
const WAIT_MS = 1_000

type Places = Map<number, LogPoint>

interface Told {
  readonly partition: number
  readonly reply: ChangesReply
}

export async function* readChanges<T>(
  client: QuorateClient,
  view: TableView,
  options: ChangesOptions,
): AsyncGenerator<ChangeEvent<T>, void, undefined> {
  const { signal, untilNow = false, limit = Number.POSITIVE_INFINITY } = options
  refuseLeaderless(view)
  const ask = (partition: number, after: LogPoint | undefined, waitMs: number): Promise<ChangesReply> =>
    askOnce(client, view, partition, after, waitMs, signal)
  const keeper = options.reader === undefined ? undefined : new PlaceKeeper(client, view, options.reader)
  const places: Places = (await keeper?.load()) ?? placesOf(options.from ?? 'now', view)
  const ids = view.map.partitions.map(({ id }) => id)
  const ends: Places = new Map()
  const missing = ids.filter(id => !places.has(id))
  const fromStart = options.from === 'start'
  const asked = untilNow ? ids : fromStart ? [] : missing
  await Promise.all(asked.map(async id => ends.set(id, (await ask(id, undefined, 0)).next)))
  for (const id of missing) places.set(id, fromStart ? beforeAll : ends.get(id)!)
  await keeper?.begin(places)
  const isDone = (id: number): boolean =>
    untilNow && comparePoints(places.get(id)!, ends.get(id) ?? beforeAll) >= 0
  const open = new Map<number, Promise<Told>>()
  const next = (partition: number): void => {
    if (isDone(partition)) return
    open.set(
      partition,
      ask(partition, places.get(partition), WAIT_MS).then(reply => ({ partition, reply })),
    )
  }
  for (const id of ids) next(id)
  let left = limit
  try {
    while (open.size > 0 && left > 0) {
      const { partition, reply } = await Promise.race(open.values())
      open.delete(partition)
      for (const event of eventsOf<T>(view, partition, reply, places)) {
        yield event
        // Asked for the next one: it has had this one.
        keeper?.had(partition, places.get(partition)!)
        if (--left <= 0) break
      }
      if (left <= 0) break
      places.set(partition, reply.next)
      next(partition)
    }
  } finally {
    await keeper?.save()
  }
}

/** What was told since is told again to a reader that dies. */
const SAVE_MS = 1_000

/** The place of a reader with a name. */
class PlaceKeeper {
  readonly #client: QuorateClient
  readonly #view: TableView
  readonly #name: string
  readonly #had: Places = new Map()
  #timer: Timer | undefined

  constructor(client: QuorateClient, view: TableView, name: string) {
    if (name === '' || name.length > limits.feedReaderNameMax)
      throw new QuorateError(
        'BAD_REQUEST',
        `reader: a name has up to ${limits.feedReaderNameMax} characters, not ${name.length}`,
        { data: { field: 'reader' } },
      )
    this.#client = client
    this.#view = view
    this.#name = name
  }

  /** Undefined: it is new. */
  async load(): Promise<Places | undefined> {
    const readers = await readersOf(this.#client, this.#view)
    const own = readers.find(({ name }) => name === this.#name)
    return own && new Map(own.places.map(({ partition, point }) => [partition, point]))
  }

  /** Known from here on: what comes is kept for it. */
  begin(places: Places): Promise<void> {
    for (const [id, point] of places) this.#had.set(id, point)
    return this.#write()
  }

  had(partition: number, point: LogPoint): void {
    this.#had.set(partition, point)
    this.#timer ??= this.#client.clock.setTimer(SAVE_MS, () => {
      this.#timer = undefined
      // At the next change, or at the end: until then it is told again.
      this.#write().catch((error: unknown) => {
        if (!isQuorateError(error)) throw error
      })
    })
  }

  async save(): Promise<void> {
    this.#timer?.cancel()
    this.#timer = undefined
    if (this.#had.size > 0) await this.#write()
  }

  async #write(): Promise<void> {
    const places = [...this.#had].map(([partition, point]) => ({ partition, point }))
    await saveReader(this.#client, this.#view, this.#name, places, false)
  }
}

function saveReader(
  client: QuorateClient,
  { descriptor }: TableView,
  name: string,
  places: { partition: number; point: LogPoint }[],
  forget: boolean,
): Promise<{ known: boolean }> {
  return client.passOn(saveFeedReaderMessage, { table: descriptor.id as number, name, places, forget }, {})
}

async function readersOf(client: QuorateClient, { descriptor }: TableView) {
  return (await client.passOn(feedReadersMessage, { table: descriptor.id as number }, {})).readers
}

export async function listReaders(client: QuorateClient, view: TableView): Promise<ChangesReader[]> {
  refuseLeaderless(view)
  return (await readersOf(client, view)).map(({ name, atMs, places }) => ({
    name,
    atMs,
    resume: encodePlaces(view, new Map(places.map(({ partition, point }) => [partition, point]))),
  }))
}

/** Logs are kept for it no longer. False: there was none. */
export async function forgetReader(client: QuorateClient, view: TableView, name: string): Promise<boolean> {
  refuseLeaderless(view)
  return (await saveReader(client, view, name, [], true)).known
}

function refuseLeaderless({ descriptor }: TableView): void {
  if (ledOf(descriptor) === undefined)
    throw new QuorateError(
      'BAD_REQUEST',
      `"${descriptor.name}" is leaderless: it has no log to read changes from`,
    )
}

const placesOf = (from: string, view: TableView): Places =>
  from === 'now' || from === 'start' ? new Map() : decodePlaces(from, view)

function* eventsOf<T>(
  view: TableView,
  partition: number,
  reply: ChangesReply,
  places: Places,
): Generator<ChangeEvent<T>> {
  const textOf = ({ epoch, position }: LogPoint): string => `${epoch}/${position}`
  if (reply.truncatedTo !== undefined) {
    places.set(partition, reply.truncatedTo)
    yield {
      kind: 'truncated',
      partition,
      position: textOf(reply.truncatedTo),
      resume: encodePlaces(view, places),
    }
  }
  for (const entry of reply.entries) {
    places.set(partition, { epoch: entry.epoch, position: entry.position })
    const { partitionKey, sortKey } = rowKeyParts(entry.key)
    const document = (bytes: Uint8Array | undefined): T | undefined =>
      bytes === undefined ? undefined : (decodeDocument(bytes) as T)
    yield {
      kind: 'change',
      partition,
      position: textOf(entry),
      atMs: stampMs(entry.stamp),
      operation: operationToHex(entry.operation),
      key: sortKey === '' ? [decodeKey(partitionKey)] : [decodeKey(partitionKey), decodeKey(sortKey)],
      before: document(entry.before),
      after: document(entry.after),
      resume: encodePlaces(view, places),
    }
  }
}

function askOnce(
  client: QuorateClient,
  { descriptor }: TableView,
  partition: number,
  after: LogPoint | undefined,
  waitMs: number,
  signal: AbortSignalLike | undefined,
): Promise<ChangesReply> {
  const place = (): Place => {
    const { map } = client.router.catalog.view(descriptor.id)
    const found = map.find(partition)
    if (found === undefined)
      throw new QuorateError('NOT_FOUND', `"${descriptor.name}" has no partition ${partition}`)
    return { map, partition: found }
  }
  const table = descriptor.id as number
  const request = { table, partition, hops: 0, after, bytes: limits.logBatchBytes, waitMs }
  const options = { timeoutMs: waitMs + 20_000, ...(signal === undefined ? {} : { signal }) }
  return client.send(changesMessage, place, () => request, options, false)
}

/** Names the table by its number: a place in another one's log is not taken for one in this. */
function encodePlaces({ descriptor }: TableView, places: Places): string {
  const all = [...places].sort(([a], [b]) => a - b)
  return `${descriptor.id}@${all.map(([id, { epoch, position }]) => `${id}:${epoch}/${position}`).join(',')}`
}

function decodePlaces(text: string, { descriptor, map }: TableView): Places {
  const refuse = (why: string): never => {
    throw new QuorateError(
      'BAD_REQUEST',
      `from: ${why}; it is now, start, or the resume of an event of "${descriptor.name}"`,
      { data: { field: 'from' } },
    )
  }
  const [table, all, ...more] = text.split('@')
  if (all === undefined || more.length > 0 || !/^\d+$/.test(table!)) refuse(`"${text}" is no place in a log`)
  if (Number(table) !== descriptor.id) refuse(`"${text}" is a place in the log of another table`)
  const places: Places = new Map()
  for (const part of all!.split(',')) {
    const match = /^(\d+):(\d+)\/(\d+)$/.exec(part)
    const id = Number(match?.[1])
    if (match === null || map.find(id) === undefined) return refuse(`"${part}" is no place in its log`)
    places.set(id, { epoch: Number(match[2]), position: Number(match[3]) })
  }
  return places
}
