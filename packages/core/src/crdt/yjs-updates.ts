/**
 * Updates of collaborative documents: made by Yjs in clients, kept and merged here as bytes. Merging is Yjs' own, without a
 * document in memory; equal updates in one order make equal bytes.
 *
 * References: Nicolaescu et al., *Near real-time peer-to-peer shared editing on extensible data types* (2016).
 */

import { decodeUpdate, mergeUpdates } from 'yjs'
import { QuorateError } from '../base/errors.ts'

/** Throws BAD_REQUEST: stored, rubbish would fail every reader of the document. */
export function checkUpdate(update: unknown, where: string): Uint8Array {
  const bad = (cause?: unknown): QuorateError =>
    new QuorateError('BAD_REQUEST', `${where}: this is no update of a Yjs document`, {
      data: { field: where },
      cause,
    })
  if (!(update instanceof Uint8Array)) throw bad()
  try {
    decodeUpdate(update)
    return update
  } catch (cause) {
    throw bad(cause)
  }
}

/** Merged at once: what Yjs' merging takes grows with the square of the number. */
const GROUP = 16

/** One update that does what all of them do. */
export function updatesTogether(updates: readonly Uint8Array[]): Uint8Array {
  let level = [...updates]
  while (level.length > 1) {
    const next: Uint8Array[] = []
    for (let at = 0; at < level.length; at += GROUP) next.push(mergeUpdates(level.slice(at, at + GROUP)))
    level = next
  }
  return level[0]!
}
