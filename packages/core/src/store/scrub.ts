/**
 * Looks for rot before a reader meets it: re-reads table values, and the log segments that are closed
 * but still needed, against their checksums. Pure reading; the caller paces it, marks what is bad and
 * has it healed.
 */

import type { ByteString, Incarnation } from '../base/ids.ts'
import type { Disk } from '../ports/disk.ts'
import type { Table } from '../ports/table.ts'
import type { ClosedSegment } from './log-writer.ts'
import { openValue } from './sealed-value.ts'
import { readSegmentHeader, segmentName } from './segment-format.ts'
import { readSegment } from './segment-judge.ts'
import { isNotFound } from './store-errors.ts'

export interface ScrubStep {
  readonly checked: number
  readonly damaged: readonly ByteString[]
  /** Where to go on; undefined at the end of the table. */
  readonly next: ByteString | undefined
}

export interface LogDamage {
  readonly file: string
  readonly offset: number
  readonly why: string
}

export function scrubTable(table: Table, from: ByteString, count: number): ScrubStep {
  const found: ByteString[] = []
  let checked = 0
  for (const [key, sealed] of table.scan(from, undefined, { limit: count + 1 })) {
    if (checked === count) return { checked, damaged: found, next: key }
    checked++
    if (openValue(key, sealed) === undefined) found.push(key)
  }
  return { checked, damaged: found, next: undefined }
}

/** `closed` is asked again for each file, since a checkpoint may remove one meanwhile. */
export async function scrubLog(
  disk: Disk,
  incarnation: Incarnation,
  closed: () => readonly ClosedSegment[],
): Promise<LogDamage[]> {
  const found: LogDamage[] = []
  for (const { number, validEnd } of [...closed()]) {
    const file = segmentName(number)
    const bytes = await disk.read(file).catch((error: unknown) => {
      if (!isNotFound(error)) throw error
      return undefined
    })
    if (!closed().some(segment => segment.number === number)) continue
    const damage = bytes === undefined ? { at: 0, why: 'the file is gone' } : check(bytes)
    if (damage !== undefined) found.push({ file, offset: damage.at, why: damage.why })

    function check(content: Uint8Array): { at: number; why: string } | undefined {
      const header = readSegmentHeader(content)
      if (header?.number !== number || header.incarnation !== incarnation) {
        return { at: 0, why: 'the segment header is not what was written' }
      }
      const { end } = readSegment(content, header, validEnd)
      return end.kind === 'damaged' ? end : undefined
    }
  }
  return found
}
