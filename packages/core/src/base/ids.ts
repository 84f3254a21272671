/**
 * Branded names. A brand costs nothing at run time and stops a table id from being passed where a
 * node id is meant.
 */

declare const brand: unique symbol
export type Brand<T, Name extends string> = T & { readonly [brand]: Name }

/** Name of one server process, as configured (`n1`). */
export type NodeId = Brand<string, 'NodeId'>
/** Anyone a transport can send to: a node, or the far end of a client's connection. */
export type PeerId = Brand<string, 'PeerId'>
/** Eight random bytes (as a byte string) written when a store directory is created. */
export type Incarnation = Brand<string, 'Incarnation'>
/** Sixteen bytes (as a byte string) that name one operation of one client, kept over retries. */
export type OperationId = Brand<string, 'OperationId'>
export type TableId = Brand<number, 'TableId'>
/** Hybrid logical clock reading packed in a safe integer; see `causality/hybrid-clock.ts`. */
export type Stamp = Brand<number, 'Stamp'>
/** 32-bit hash of a partition key, 0 … 2³²−1. */
export type Token = Brand<number, 'Token'>
/** A string whose every char code is 0…255: bytes that compare, hash and concatenate natively. */
export type ByteString = Brand<string, 'ByteString'>

export const nodeId = (id: string): NodeId => id as NodeId
export const tableId = (id: number): TableId => id as TableId

export function compareStrings(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
