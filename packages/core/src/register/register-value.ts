/**
 * What an acceptor stores for one register: the user's value, its version, and the last operations.
 *
 * Problem: a proposer that times out does not know whether its change happened, and asks again.
 * Mechanism: every change leaves its operation id, with the version it made, in the value itself; a
 * retry that finds its id answers success and changes nothing. `limits.registerOperationsMax` ids are kept.
 * Invariants: version of a change = counter of the ballot it was accepted under, so versions of one key
 * strictly increase, also across deletion and re-creation; 0 is "absent". A deleted value keeps version
 * and operation ids until it is collected.
 */

import { assert } from '../base/assert.ts'
import type { OperationId } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import { RecordReader, RecordWriter } from './record-codec.ts'

export interface Versioned {
  /** 0: never written, or deleted and collected. */
  readonly version: number
  /** undefined: absent (never written, or deleted). */
  readonly value: Uint8Array | undefined
}

export interface DoneOperation {
  readonly id: OperationId
  readonly version: number
}

export interface RegisterValue extends Versioned {
  /** Newest last. */
  readonly operations: readonly DoneOperation[]
}

export const registerAbsent: RegisterValue = { version: 0, value: undefined, operations: [] }

export function decodeRegisterValue(bytes: Uint8Array | undefined): RegisterValue {
  if (bytes === undefined) return registerAbsent
  const reader = new RecordReader(bytes, 1, 'register value')
  const version = reader.u64()
  const count = reader.u64()
  assert(count <= limits.registerOperationsMax, 'too many operation ids in a register', count)
  const operations: DoneOperation[] = []
  for (let i = 0; i < count; i++) {
    operations.push({ id: reader.byteString() as string as OperationId, version: reader.u64() })
  }
  const value = reader.u8() === 0 ? undefined : reader.bytes()
  reader.end()
  return { version, value, operations }
}

export function encodeRegisterValue(register: RegisterValue): Uint8Array {
  const writer = new RecordWriter(1).u64(register.version).u64(register.operations.length)
  for (const done of register.operations) writer.byteString(done.id).u64(done.version)
  if (register.value === undefined) writer.u8(0)
  else writer.u8(1).bytes(register.value)
  return writer.finish()
}

/** The register after one more change. */
export function changedRegister(
  before: RegisterValue,
  value: Uint8Array | undefined,
  id: OperationId,
  version: number,
): RegisterValue {
  assert(version > before.version, 'versions of a register only grow', { before: before.version, version })
  const kept = before.operations.slice(-(limits.registerOperationsMax - 1))
  return { version, value, operations: [...kept, { id, version }] }
}
