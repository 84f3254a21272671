/**
 * Several rows, read together so that no row shows an effect of which another lacks the cause (consistent prefix).
 *
 * Problem: rows are read at different nodes at different times; an answer may be read after its question was looked for.
 * Mechanism, after COPS' get transactions (Lloyd et al., "Don't Settle for Eventual", 2011): all rows are read at once;
 * what each brings says how new the others must be, at least (sessions/session-state.ts); rows that are older are read
 * again, with all that is known demanded of them. A second round mostly ends it; it goes on as long as what a round
 * brings has causes of its own among the rows. The rows are no snapshot: unrelated writes may be met at any age.
 */

import {
  type Context,
  contextCovers,
  contextOf,
  decodeContextToken,
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
}

/** `read`: one row, in the session. Results in the order of the keys. */
export async function readTogether<Result extends { readonly context: Uint8Array }>(
  view: () => TableView,
  session: Session,
  keys: readonly EncodedKey[],
  read: (key: EncodedKey) => Promise<Result>,
): Promise<Result[]> {
  const known = (): SessionState => peekSession(session.bytes)
  const begin = async (key: EncodedKey): Promise<Reading<Result>> => {
    const before = known()
    return { key, result: await read(key), before }
  }
  const readings = await Promise.all(keys.map(begin))
  for (let round = 1; ; round++) {
    const now = known()
    const old = readings.filter(reading => !isCurrent(view(), reading, now))
    if (old.length === 0) return readings.map(({ result }) => result)
    if (round === ROUNDS_MAX)
      throw new QuorateError('SESSION_NOT_REACHED', 'the rows go on changing while they are read together')
    await Promise.all(
      old.map(async reading => {
        Object.assign(reading, await begin(reading.key))
      }),
    )
  }
}

/** Does it show all that is known now, of each of its parts? */
function isCurrent<Result extends { readonly context: Uint8Array }>(
  view: TableView,
  { key, result, before }: Reading<Result>,
  now: SessionState,
): boolean {
  const table = view.descriptor.id
  // What is needed of it may have been settled, and is not in the token any more.
  if (now.settled.includes(table) && !before.settled.includes(table)) return false
  const { parts } = decodeContextToken(result.context)
  for (let part = 0; part < writePartsOf(view.descriptor); part++) {
    const at = placeOfPart(view, key, part).key
    const shown: Context = parts.find(seen => seen.part === part)?.context ?? []
    if (!contextCovers(mergeContexts(shown, contextOf(before, at)), contextOf(now, at))) return false
  }
  return true
}
