/**
 * One register as an etcd key holds it.
 *
 * Problem: the version of a change is etcd's mod_revision, known only after the value has been written,
 * yet the value must name the version of each operation it remembers. Mechanism: the embedded registers'
 * encoding, in which version 0 stands for "the mod_revision of this key". Whoever rewrites a value first
 * puts the number in its place; so a rewrite that changes nothing (`touched`) moves the mod_revision and keeps
 * the version.
 *
 * Invariants: version <= mod_revision; a change's version is its mod_revision, above every earlier one of the
 * key, also after a deletion (revisions belong to the whole etcd, not to a key). A deleted register is
 * a value without content (tombstone) that keeps its operation ids until it is collected.
 */

import {
  base64ToBytes,
  decodeRegisterValue,
  encodeRegisterValue,
  limits,
  type OperationId,
  type RegisterValue,
  registerAbsent,
} from '@quorate/core'
import type { KeyValue } from './etcd-gateway.ts'

export interface FoundCell {
  readonly register: RegisterValue
  /** mod_revision of the key; 0: there is no such key. */
  readonly revision: number
}

export const noCell: FoundCell = { register: registerAbsent, revision: 0 }

/** Undefined: the key holds what no register writes. */
export function readCell(found: KeyValue | undefined): FoundCell | undefined {
  if (found === undefined) return noCell
  const bytes = base64ToBytes(found.value)
  if (bytes === undefined || bytes.length === 0) return undefined
  const revision = found.mod_revision
  try {
    const { version, value, operations } = decodeRegisterValue(bytes)
    const resolved = operations.map(done => (done.version === 0 ? { ...done, version: revision } : done))
    return { revision, register: { version: version || revision, value, operations: resolved } }
  } catch {
    // Someone else wrote it. Inside the node that would be a failed assertion; here it is bad input.
    return undefined
  }
}

/** The value after one more change, whose version is the revision it will get. */
export function changedCell(
  before: RegisterValue,
  value: Uint8Array | undefined,
  id: OperationId,
): Uint8Array {
  const kept = before.operations.slice(-(limits.registerOperationsMax - 1))
  return encodeRegisterValue({ version: 0, value, operations: [...kept, { id, version: 0 }] })
}

/** The same register, to be written again. */
export const touchedCell = (before: RegisterValue): Uint8Array => encodeRegisterValue(before)
