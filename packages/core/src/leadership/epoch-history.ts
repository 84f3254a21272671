/**
 * Where two logs of one partition part: by the epochs that wrote them, never by bare positions.
 *
 * Problem: a leader that comes back has entries that its successor never had, at positions that the successor
 * has used for others. Cutting at the follower's commit position loses acknowledged entries (what it had not
 * heard of yet); comparing positions takes other entries for the same ones. Mechanism: each log remembers at
 * which position each epoch began in it. Since an epoch has one leader, and that leader adds to the log it took
 * over, entries with the same epoch and position are the same entry and stand on the same log below: so two
 * logs agree exactly up to the last position that both give to the same epoch.
 *
 * Invariants: positions begin at 1 and leave no gap; epochs and their first positions ascend strictly; an epoch
 * that wrote nothing is not in the history.
 * References: Kafka KIP-101 and KIP-279 (leader epochs in place of high watermarks); Raft's log matching
 * property (Ongaro, Ousterhout 2014, §5.3).
 */

import { assert } from '../base/assert.ts'

/** The entry that an epoch wrote at a position; (0, 0) is the place before the first. */
export interface LogPoint {
  readonly epoch: number
  readonly position: number
}

/** An epoch, and the position of the first entry that it wrote. */
export interface EpochStart {
  readonly epoch: number
  readonly from: number
}

export type EpochHistory = readonly EpochStart[]

/** A log as seen from outside: which epoch wrote what, and its last position (0: empty). */
export interface LogShape {
  readonly epochs: EpochHistory
  readonly last: number
}

export const beforeAll: LogPoint = { epoch: 0, position: 0 }
export const emptyLog: LogShape = { epochs: [], last: 0 }

/** Greater epoch first: a longer log of an older epoch is behind (Raft §5.4.1). */
export function comparePoints(a: LogPoint, b: LogPoint): number {
  return a.epoch - b.epoch || a.position - b.position
}

export function assertShape({ epochs, last }: LogShape): void {
  for (const [at, { epoch, from }] of epochs.entries()) {
    const before = epochs[at - 1]
    assert(epoch > (before?.epoch ?? 0), 'epochs ascend from 1', epochs)
    assert(before === undefined ? from === 1 : from > before.from, 'epochs begin behind each other', epochs)
    assert(from <= last, 'an epoch in the history wrote something', { epoch, from, last })
  }
  assert(epochs.length > 0 || last === 0, 'what is there was written by someone', last)
}

/** The epoch of a position; 0 for the place before the first. */
export function epochAt({ epochs, last }: LogShape, position: number): number {
  assert(position >= 0 && position <= last, 'a position of the log', { position, last })
  for (let at = epochs.length - 1; at >= 0; at--) if (epochs[at]!.from <= position) return epochs[at]!.epoch
  return 0
}

export const endOf = (log: LogShape): LogPoint => ({ epoch: epochAt(log, log.last), position: log.last })

/** Is this very entry in the log? */
export function hasPoint(log: LogShape, { epoch, position }: LogPoint): boolean {
  return position <= log.last && epochAt(log, position) === epoch
}

/** The log with one entry more. An epoch never writes behind a newer one. */
export function appended(log: LogShape, epoch: number): LogShape {
  const end = endOf(log)
  assert(epoch >= end.epoch && epoch > 0, 'an entry is written by the newest epoch', { epoch, end })
  const position = log.last + 1
  const epochs = epoch === end.epoch ? log.epochs : [...log.epochs, { epoch, from: position }]
  return { epochs, last: position }
}

/** The log without what is behind a position. */
export function truncated({ epochs, last }: LogShape, position: number): LogShape {
  assert(position >= 0 && position <= last, 'a position of the log', { position, last })
  return { epochs: epochs.filter(({ from }) => from <= position), last: position }
}

/** The last entry that both logs have, or the place before the first: what is behind it is not shared. */
export function divergence(a: LogShape, b: LogShape): LogPoint {
  let position = Math.min(a.last, b.last)
  while (position > 0) {
    const [inA, inB] = [segmentAt(a, position), segmentAt(b, position)]
    if (inA.epoch === inB.epoch) return { epoch: inA.epoch, position }
    // Nothing of the part where the epochs differ is shared: on to the end of what is before it in either.
    position = Math.max(inA.from, inB.from) - 1
  }
  return beforeAll
}

/** Up to which position a log has what someone has had who stood at a point: less than that when it was rolled back. */
export function sharedUpTo({ epochs, last }: LogShape, { epoch, position }: LogPoint): number {
  const newer = epochs.find(start => start.epoch > epoch)
  return Math.min(position, last, newer === undefined ? last : newer.from - 1)
}

function segmentAt(log: LogShape, position: number): EpochStart {
  const { epochs } = log
  for (let at = epochs.length - 1; at > 0; at--) if (epochs[at]!.from <= position) return epochs[at]!
  return epochs[0]!
}
