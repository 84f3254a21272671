/**
 * Where and how an acceptor lies in the store: one record per register, one for the acceptor itself.
 * Register keys carry the joining epoch, so joining anew starts empty in the same atomic batch.
 */

import { u64ToString } from '../base/bytes.ts'
import type { ByteString, Incarnation, NodeId } from '../base/ids.ts'
import { keyspaces } from '../store/keyspace.ts'
import type { FenceState, RegisterState } from './acceptor.ts'
import type { Ballot } from './ballot.ts'
import { RecordReader, RecordWriter } from './record-codec.ts'
import { decodeConfig, encodeConfig } from './register-config.ts'

export const fenceRecordKey = `${keyspaces.acceptor}f` as ByteString
export const lifeRecordKey = `${keyspaces.acceptor}l` as ByteString
/** Start of every register of every joining epoch. */
export const registersPrefix = `${keyspaces.acceptor}r` as ByteString

export const registersOf = (joined: number): ByteString =>
  (registersPrefix + u64ToString(joined)) as ByteString

export const registerRecordKey = (joined: number, key: ByteString): ByteString =>
  (registersOf(joined) + key) as ByteString

function writeBallot(writer: RecordWriter, ballot: Ballot): void {
  writer.u64(ballot.counter).text(ballot.node).byteString(ballot.incarnation).u64(ballot.life)
}

function readBallot(reader: RecordReader): Ballot {
  const counter = reader.u64()
  const node = reader.text() as NodeId
  return { counter, node, incarnation: reader.byteString() as string as Incarnation, life: reader.u64() }
}

export function encodeRegisterState(state: RegisterState): Uint8Array {
  const writer = new RecordWriter(1)
  writeBallot(writer, state.promised)
  writeBallot(writer, state.accepted)
  if (state.value === undefined) writer.u8(0)
  else writer.u8(1).bytes(state.value)
  return writer.finish()
}

export function decodeRegisterState(bytes: Uint8Array): RegisterState {
  const reader = new RecordReader(bytes, 1, 'register state')
  const promised = readBallot(reader)
  const accepted = readBallot(reader)
  const value = reader.u8() === 0 ? undefined : reader.bytes()
  reader.end()
  return { promised, accepted, value }
}

export function encodeFence(fence: FenceState): Uint8Array {
  const writer = new RecordWriter(1).u64(fence.joined).u64(fence.erasedFloor)
  if (fence.config === undefined) writer.u8(0)
  else writer.u8(1).bytes(encodeConfig(fence.config))
  return writer.finish()
}

/** The record lies in the store it speaks of: identity is the store's, not the record's. */
export function decodeFence(bytes: Uint8Array, node: NodeId, incarnation: Incarnation): FenceState {
  const reader = new RecordReader(bytes, 1, 'acceptor record')
  const joined = reader.u64()
  const erasedFloor = reader.u64()
  const config = reader.u8() === 0 ? undefined : decodeConfig(reader.bytes())
  reader.end()
  return { node, incarnation, config, joined, erasedFloor }
}
