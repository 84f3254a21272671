/**
 * Several rows, read together so that no row shows an effect of which another lacks the cause (consistent prefix).
 *
 * Problem: rows are read at different nodes at different times; an answer may be read after its question was looked for.
 * Mechanism, after COPS' get transactions (Lloyd et al., "Don't Settle for Eventual", 2011): all rows are read at once;
 * what each brings says how new the others must be, at least (sessions/session-state.ts); rows that are older are read
 * again, with all that is known demanded of them. A second round mostly ends it; it goes on as long as what a round
 * brings has causes of its own among the rows. The rows are no snapshot: unrelated writes may be met at any age.
 *
 * Of a partition with a leader a reading is of one entry of its log. How new it must be, say the readings of other
 * partitions; and those of one partition are of one moment: a row that is read again, and is still the same, was so all the
 * while, so it is known from the first of the readings to the last, and some moment must be common to all.
 */

import {
  beforeAll,
  type Context,
  comparePoints,
  contextCovers,
  contextOf,
  decodeContextToken,
  type LogPoint,
  ledOf,
  mergeContexts,
  peekSession,
  placeOfPart,
  QuorateError,
  type SessionState,
  type TableView,
  writePartsOf,
} from '@quorate/core'
import type { Session } from './session.ts'
import type { EncodedKey } from './table.ts'

const ROUNDS_MAX = 16

interface Reading<Result> {
  readonly key: EncodedKey
  result: Result
  /** What the session knew when it was asked: that, the answer shows, or it is gone for good. */
  before: SessionState
  /** What the reply said that has been seen: all of that, and what the row was caused by. */
  told: SessionState
  /** Of a partition with a leader: the row is this one from the first of these entries to the last. */
  from: LogPoint
  to: LogPoint
}

interface Shown {
  readonly context: Uint8Array
  readonly receipt: { readonly log?: LogPoint | undefined }
}

/** `read`: one row, in the session, and the token of the reply. Results in the order of the keys. */
export async function readTogether<Result extends Shown>(
  view: () => TableView,
  session: Session,
  keys: readonly EncodedKey[],
  read: (key: EncodedKey) => Promise<{ result: Result; token: Uint8Array }>,
): Promise<Result[]> {
  const known = (): SessionState => peekSession(session.bytes)
  const begin = async (key: EncodedKey): Promise<Reading<Result>> => {
    const before = known()
    const { result, token } = await read(key)
    const { epoch, position } = result.receipt.log ?? beforeAll
    const at = { epoch, position }
    return { key, result, before, told: peekSession(token), from: at, to: at }
  }
  const readings = await Promise.all(keys.map(begin))
  for (let round = 1; ; round++) {
    const isOld =
      ledOf(view().descriptor) === undefined ? olderRows(view(), known()) : olderEntries(view(), readings)
    const old = readings.filter(isOld)
    if (old.length === 0) return readings.map(({ result }) => result)
    if (round === ROUNDS_MAX)
      throw new QuorateError('SESSION_NOT_REACHED', 'the rows go on changing while they are read together')
    await Promise.all(
      old.map(async reading => void Object.assign(reading, again(reading, await begin(reading.key)))),
    )
  }
}

/** The same row as before was so all the while. */
function again<Result extends Shown>(before: Reading<Result>, now: Reading<Result>): Reading<Result> {
  const isSame = sameBytes(before.result.context, now.result.context)
  return isSame ? { ...now, from: before.from } : now
}

/** Which readings lack something that is known now, in any of their parts? */
function olderRows(view: TableView, now: SessionState): (reading: Reading<Shown>) => boolean {
  const table = view.descriptor.id
  return ({ key, result, before }) => {
    // What is needed of it may have been settled, and is not in the token any more.
    if (now.settled.includes(table) && !before.settled.includes(table)) return true
    const { parts } = decodeContextToken(result.context)
    for (let part = 0; part < writePartsOf(view.descriptor); part++) {
      const at = placeOfPart(view, key, part).key
      const shown: Context = parts.find(seen => seen.part === part)?.context ?? []
      if (!contextCovers(mergeContexts(shown, contextOf(before, at)), contextOf(now, at))) return true
    }
    return false
  }
}

function olderEntries(
  view: TableView,
  readings: readonly Reading<Shown>[],
): (reading: Reading<Shown>) => boolean {
  const table = view.descriptor.id as number
  const partitionOf = ({ key }: Reading<Shown>): number => view.map.locate(placeOfPart(view, key, 0).key).id
  const needs = new Map<number, LogPoint>()
  const need = (partition: number, point: LogPoint): void => {
    if (comparePoints(point, needs.get(partition) ?? beforeAll) > 0) needs.set(partition, point)
  }
  for (const reading of readings) {
    const own = partitionOf(reading)
    need(own, reading.from)
    for (const { table: of, partition, epoch, position } of reading.told.led)
      if (of === table && partition !== own) need(partition, { epoch, position })
  }
  return reading => comparePoints(reading.to, needs.get(partitionOf(reading)) ?? beforeAll) < 0
}

const sameBytes = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((byte, at) => byte === b[at])
