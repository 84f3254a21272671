/**
 * Reads the log back.
 *
 * Segments from the checkpoint position on are replayed in order; those before it are leftovers of a
 * removal that was cut short and are removed again. The log must be whole: it starts at the checkpoint
 * position, has no gaps, and every segment carries this store's incarnation and its own number.
 *
 * A process that died may have left a last record that was read back from the operating system's cache
 * but never reached the disk (or whose sync failed: the cache then shows bytes the disk does not have).
 * So that record is handed back as `carry`, to be written again as the first record of the next
 * segment, whose header says that this one ends before it. Should that write not finish, the new
 * segment is void and the old record still counts.
 *
 * When that record was the only one of its segment, that segment may be gone altogether after the next power
 * cut, name, header and all; and so may several in a row, when one process after the other died at its first
 * write. Their successor says how many before it hold nothing that counts (`emptyBefore`): those may be missing
 * or unreadable, and the one before them is then judged as a last one (its tail was carried over, too).
 *
 * Reference: Rebello et al., "Can Applications Recover from fsync Failures?" (USENIX ATC 2020).
 */

import { assert } from '../base/assert.ts'
import { QuorateError } from '../base/errors.ts'
import type { Incarnation } from '../base/ids.ts'
import type { Disk } from '../ports/disk.ts'
import type { ClosedSegment } from './log-writer.ts'
import {
  readSegmentHeader,
  SEGMENT_HEADER_BYTES,
  SEGMENT_VERSION,
  type SegmentHeader,
  segmentName,
  segmentNumber,
} from './segment-format.ts'
import { damageOfUnreadableLast, readSegment } from './segment-judge.ts'
import { damaged, foreign, isNotFound, logMissing } from './store-errors.ts'

export interface RecoveryOptions {
  readonly disk: Disk
  readonly incarnation: Incarnation
  /** The table holds everything before this segment. */
  readonly firstSegment: number
  /** The directory was being made: its first segment may be missing or void. */
  readonly creating: boolean
  /** Takes the payload of each record, in order. */
  apply(payload: Uint8Array): void
}

export interface Recovered {
  /** Number of the segment to write next, and whether a void file of that number is in the way. */
  readonly nextSegment: number
  readonly leftover: boolean
  /** Where the records of the last segment end, for the next one's header. */
  readonly previousEnd: number
  readonly closed: readonly ClosedSegment[]
  /** Payload of the last record, to be written again. */
  readonly carry: Uint8Array | undefined
  readonly records: number
  /** What was dropped as a torn tail, for the operator. */
  readonly dropped: string | undefined
}

interface SegmentFile {
  readonly number: number
  readonly bytes: Uint8Array
  /** undefined: the segment is gone, and its successor says that it held nothing. */
  readonly header: SegmentHeader | undefined
}

const nothing = new Uint8Array(0)

export async function recoverLog(options: RecoveryOptions): Promise<Recovered> {
  const { disk, firstSegment, creating } = options
  const numbers: number[] = []
  const obsolete: string[] = []
  for (const name of await disk.list()) {
    const number = segmentNumber(name)
    if (number === undefined) continue
    if (number < firstSegment) obsolete.push(name)
    else numbers.push(number)
  }
  const found = numbers.length
  const voids = await trimVoid(options, numbers)
  for (let index = 0; index < numbers.length; index++) {
    const [number, expected] = [numbers[index]!, firstSegment + index]
    if (number === expected) continue
    const later = numbers.slice(index)
    numbers.splice(index, 0, expected)
    if (!(await isSaidToBeEmpty(options, expected, later))) {
      throw logMissing(segmentName(expected), `${segmentName(number)} is there`)
    }
  }
  if (found === 0 && !creating) {
    throw logMissing(segmentName(firstSegment), 'the table says that the log starts with it')
  }
  const recovered = await replay(options, numbers)
  // The void segment whose number comes next is removed by whoever writes it.
  for (const number of voids) if (number !== recovered.nextSegment) obsolete.push(segmentName(number))
  for (const name of obsolete) await disk.remove(name)
  return { ...recovered, leftover: voids.includes(recovered.nextSegment) }
}

/**
 * Takes the void segments off the end: one, or several when processes died and only then the power went.
 * Each of those had carried over what the one before it held.
 */
async function trimVoid(options: RecoveryOptions, numbers: number[]): Promise<number[]> {
  const voids: number[] = []
  while (numbers.length > 0 && (await load(options, numbers, numbers.length - 1)) === undefined) {
    voids.push(numbers.pop()!)
  }
  return voids
}

async function replay(
  options: RecoveryOptions,
  numbers: readonly number[],
): Promise<Omit<Recovered, 'leftover'>> {
  const { firstSegment, creating } = options
  const closed: ClosedSegment[] = []
  let carry: Uint8Array | undefined
  let records = 0
  let dropped: string | undefined
  let file = await load(options, numbers, 0)
  for (let index = 0; file !== undefined; index++) {
    const next = await load(options, numbers, index + 1)
    if (file.header === undefined) {
      closed.push({ number: file.number, validEnd: SEGMENT_HEADER_BYTES })
      file = next
      continue
    }
    const reading = readSegment(file.bytes, file.header, next?.header?.previousEnd)
    const { end } = reading
    if (end.kind === 'damaged') throw damaged(segmentName(file.number), end.at, end.why)
    for (const span of reading.records) options.apply(file.bytes.subarray(span.from, span.to))
    records += reading.records.length
    let validEnd = end.validEnd
    if (end.kind === 'torn') {
      const bytes = file.bytes.length - validEnd
      dropped = `${segmentName(file.number)}: ${bytes} bytes at offset ${validEnd} were never acknowledged (${end.why})`
    }
    const last = reading.records.at(-1)
    if (next === undefined && end.kind === 'clean' && last !== undefined) {
      carry = file.bytes.slice(last.from, last.to)
      validEnd = last.at
    }
    closed.push({ number: file.number, validEnd })
    file = next
  }
  assert(numbers.length === closed.length, 'every segment that is not void has been read')
  if (closed.length === 0 && !creating) {
    throw damaged(segmentName(firstSegment), 0, 'the first segment of the log holds no valid record')
  }
  const previousEnd = closed.at(-1)?.validEnd ?? 0
  return {
    nextSegment: firstSegment + closed.length,
    previousEnd,
    closed,
    carry,
    records,
    dropped,
  }
}

/** The segment at `index`, or undefined past the end or when it is the last one and void. */
async function load(
  options: RecoveryOptions,
  numbers: readonly number[],
  index: number,
): Promise<SegmentFile | undefined> {
  const number = numbers[index]
  if (number === undefined) return undefined
  const name = segmentName(number)
  const last = index === numbers.length - 1
  const bytes = await options.disk.read(name).catch((error: unknown) => {
    // Only a segment that is said to be empty has been let through without its file.
    if (!isNotFound(error)) throw error
    return nothing
  })
  const header = readSegmentHeader(bytes)
  const place = { incarnation: options.incarnation, number }
  if (header === undefined && !last && (await isSaidToBeEmpty(options, number, numbers.slice(index + 1)))) {
    return { number, bytes: nothing, header }
  }
  if (header === undefined) {
    const why = last ? damageOfUnreadableLast(bytes, place) : 'the segment header is unreadable'
    if (why !== undefined) throw damaged(name, 0, why)
    return undefined
  }
  if (header.incarnation !== options.incarnation) throw foreign(name)
  if (header.version !== SEGMENT_VERSION) {
    throw new QuorateError(
      'STORE_DAMAGED',
      `${name} has format ${header.version}; this program reads ${SEGMENT_VERSION}`,
    )
  }
  if (header.number !== number) throw damaged(name, 0, `it says it is ${segmentName(header.number)}`)
  if (!last) return { number, bytes, header }
  const { records, end } = readSegment(bytes, place, undefined)
  const isVoid = records.length === 0 && (end.kind === 'torn' || bytes.length === SEGMENT_HEADER_BYTES)
  return isVoid ? undefined : { number, bytes, header }
}

/** Does the next segment that can be read say that `number` holds nothing? It holds a record, or it would be void. */
async function isSaidToBeEmpty(
  { disk, incarnation }: RecoveryOptions,
  number: number,
  later: readonly number[],
): Promise<boolean> {
  for (const candidate of later) {
    const bytes = await disk.read(segmentName(candidate)).catch((error: unknown) => {
      if (!isNotFound(error)) throw error
      return nothing
    })
    const header = readSegmentHeader(bytes)
    if (header === undefined || header.number !== candidate || header.incarnation !== incarnation) continue
    return header.emptyBefore >= candidate - number
  }
  return false
}
