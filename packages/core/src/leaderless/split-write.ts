/**
 * One write that concerns several parts of a row (partitioning/key-split.ts): a put with a context, or a delete. (A put
 * without a context goes to one part alone, as if that were the row: data-handlers.ts.)
 *
 * Each part is a row of its own: its context, its tombstones and their collection know nothing of the other parts. So
 * what a writer has seen is kept per part (cells/context-token.ts), each part is told what was seen *of it*, and what
 * one part says never covers a value of another. One context for all parts would lose writes: an interval
 * of stamps covers all that its actor wrote in between, and an actor coordinates several parts.
 *
 * Order: first the value, in the part that its operation names; when W homes of that part have it, a removal of what was
 * seen in each other part. So whatever happens in between, the row shows the old values, or both, and never neither to
 * who reads after it. A part of which nothing was seen has nothing to remove and is left alone.
 *
 * Outcome: acknowledged when every part is; not applied when the first step was refused everywhere; otherwise unknown,
 * and the same operation may be tried again: each part knows it by its id.
 */

import { isQuorateError, QuorateError } from '../base/errors.ts'
import type { NodeId } from '../base/ids.ts'
import type { RowWrite, TableView } from '../catalog/catalog.ts'
import { placeOfPart } from '../catalog/catalog.ts'
import { writePartsOf } from '../catalog/table-descriptor.ts'
import { decodePartsOfRow, encodePartsToken, joinContextTokens } from '../cells/context-token.ts'
import { refuseOwnContext } from '../cells/siblings.ts'
import { splitPartOf } from '../partitioning/key-split.ts'
import type { WriteReply } from '../wire/messages.ts'
import type { Respond } from '../wire/rpc.ts'
import { weakestReceipt } from './weakest-receipt.ts'

/** What is written to one part. */
export interface PartWrite {
  readonly part: number
  readonly value: Uint8Array | undefined
  readonly context: Uint8Array | undefined
}

/** What goes to which part, and in which order: the second step begins when all of the first is acknowledged. */
export function splitWrite(
  view: TableView,
  write: RowWrite,
): { readonly first: readonly PartWrite[]; readonly after: readonly PartWrite[] } {
  const count = writePartsOf(view.descriptor)
  const own = splitPartOf(write.operation, count)
  const { value, context } = write
  if (context === undefined) {
    // A delete of whatever each part has.
    const everywhere = Array.from({ length: count }, (_, part) => ({ part, value: undefined, context }))
    return { first: everywhere, after: [] }
  }
  const { row } = placeOfPart(view, write, 0)
  const seen = decodePartsOfRow(context, row, count)
  if (seen.some(({ operations }) => operations.includes(write.operation))) refuseOwnContext()
  const told = (part: number): Uint8Array =>
    encodePartsToken(
      seen.filter(one => one.part === part),
      row,
    )
  const removals = seen
    .filter(({ part }) => part !== own)
    .map(({ part }) => ({ part, value: undefined, context: told(part) }))
  const first = { part: own, value, context: told(own) }
  return value === undefined
    ? { first: [first, ...removals], after: [] }
    : { first: [first], after: removals }
}

type Answer = WriteReply | QuorateError

/** Runs a write in its steps. `writePart` answers once. */
export async function runSplitWrite(
  self: NodeId,
  { first, after }: ReturnType<typeof splitWrite>,
  writePart: (write: PartWrite, respond: Respond<WriteReply>) => void,
  /** One session token for those of all parts. */
  joined: (tokens: readonly WriteReply['session'][]) => WriteReply['session'] = () => undefined,
): Promise<WriteReply> {
  const step = (writes: readonly PartWrite[]): Promise<Answer[]> =>
    Promise.all(
      writes.map(
        write =>
          new Promise<Answer>((resolve, reject) => {
            writePart(write, {
              ok: resolve,
              fail: error => (isQuorateError(error) ? resolve(error) : reject(error)),
            })
          }),
      ),
    )
  const answers = await step(first)
  if (!answers.some(isQuorateError)) answers.push(...(await step(after)))
  const replies = answers.filter((answer): answer is WriteReply => !isQuorateError(answer))
  const errors = answers.filter(isQuorateError)
  if (errors.length > 0) throw failure(errors, answers.length, replies.length > 0)
  return {
    receipt: weakestReceipt(
      self,
      replies.map(({ receipt }) => receipt),
    ),
    context: joinContextTokens(replies.map(({ context }) => context)),
    repeated: after.length > 0 ? replies[0]!.repeated : replies.every(({ repeated }) => repeated),
    session: joined(replies.map(({ session }) => session)),
  }
}

function failure(errors: readonly QuorateError[], asked: number, isApplied: boolean): QuorateError {
  const worst = errors.find(({ outcome }) => outcome !== 'not-applied') ?? errors[0]!
  if (asked === 1) return worst
  const { code, data, attempts } = worst
  const outcome = isApplied || worst.outcome !== 'not-applied' ? 'unknown' : 'not-applied'
  const message = `${worst.message} (so it is in ${errors.length} of the ${asked} parts of the row that were written)`
  return new QuorateError(code, message, { outcome, data, attempts, cause: worst })
}
