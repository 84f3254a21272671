/**
 * Changes of a table as they are committed: in order within each partition, from where the reader left off, whoever leads
 * and wherever the partitions move meanwhile.
 *
 * Each partition is asked by itself, and waits at a node until there is something to tell. The place reached in all of
 * them is in the token of every event, so that another process can go on behind it.
 */

import {
  type ChangesReply,
  changesMessage,
  decodeDocument,
  decodeKey,
  type KeyValue,
  type LogPoint,
  ledOf,
  limits,
  QuorateError,
  rowKeyParts,
  stampMs,
  type TableView,
} from '@quorate/core'
import type { AbortSignalLike, Place, QuorateClient } from './client.ts'
import { operationToHex } from './operation.ts'

export interface ChangesOptions {
  /** `now` (the default), `start`, or the `resume` of an event. */
  readonly from?: 'now' | 'start' | string | undefined
  readonly signal?: AbortSignalLike | undefined
  /** Ends when everything that was committed at the beginning has been told. Default: goes on. */
  readonly untilNow?: boolean | undefined
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

const WAIT_MS = 2_000

type Places = Map<number, LogPoint>

interface Told {
  readonly partition: number
  readonly reply: ChangesReply
}

export async function* readChanges<T>(
  client: QuorateClient,
  view: TableView,
  { from = 'now', signal, untilNow = false }: ChangesOptions,
): AsyncGenerator<ChangeEvent<T>, void, undefined> {
  if (ledOf(view.descriptor) === undefined)
    throw new QuorateError(
      'BAD_REQUEST',
      `"${view.descriptor.name}" is leaderless: it has no log to read changes from`,
    )
  const ids = view.map.partitions.map(({ id }) => id)
  const places: Places = from === 'now' || from === 'start' ? new Map() : decodePlaces(from, view)
  const ask = (partition: number, after: LogPoint | undefined, waitMs: number): Promise<ChangesReply> =>
    askOnce(client, view, partition, after, waitMs, signal)
  const ends: Places = new Map()
  const missing = ids.filter(id => !places.has(id))
  const asked = untilNow ? ids : from === 'start' ? [] : missing
  await Promise.all(asked.map(async id => ends.set(id, (await ask(id, undefined, 0)).next)))
  for (const id of missing) places.set(id, from === 'start' ? { epoch: 0, position: 0 } : ends.get(id)!)
  const isDone = (id: number): boolean =>
    untilNow && places.get(id)!.position >= (ends.get(id)?.position ?? 0)
  const open = new Map<number, Promise<Told>>()
  const next = (partition: number): void => {
    if (isDone(partition)) return
    open.set(
      partition,
      ask(partition, places.get(partition), WAIT_MS).then(reply => ({ partition, reply })),
    )
  }
  for (const id of ids) next(id)
  while (open.size > 0) {
    const { partition, reply } = await Promise.race(open.values())
    open.delete(partition)
    yield* eventsOf<T>(partition, reply, places)
    places.set(partition, reply.next)
    next(partition)
  }
}

function* eventsOf<T>(partition: number, reply: ChangesReply, places: Places): Generator<ChangeEvent<T>> {
  const textOf = ({ epoch, position }: LogPoint): string => `${epoch}/${position}`
  if (reply.truncatedTo !== undefined) {
    places.set(partition, reply.truncatedTo)
    yield { kind: 'truncated', partition, position: textOf(reply.truncatedTo), resume: encodePlaces(places) }
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
      resume: encodePlaces(places),
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
  const request = { table: descriptor.id as number, partition, after, bytes: limits.logBatchBytes, waitMs }
  const options = { timeoutMs: waitMs + 20_000, ...(signal === undefined ? {} : { signal }) }
  return client.send(changesMessage, place, () => request, options, false)
}

function encodePlaces(places: Places): string {
  return [...places]
    .sort(([a], [b]) => a - b)
    .map(([id, { epoch, position }]) => `${id}:${epoch}/${position}`)
    .join(',')
}

function decodePlaces(text: string, { descriptor, map }: TableView): Places {
  const places: Places = new Map()
  for (const part of text.split(',')) {
    const match = /^(\d+):(\d+)\/(\d+)$/.exec(part)
    const id = Number(match?.[1])
    if (match === null || map.find(id) === undefined)
      throw new QuorateError(
        'BAD_REQUEST',
        `from: "${part}" is no place in the log of "${descriptor.name}"; it is now, start, or the resume of an event`,
        {
          data: { field: 'from' },
        },
      )
    places.set(id, { epoch: Number(match[2]), position: Number(match[3]) })
  }
  return places
}
