/** The client without a platform: transport, clock and chance are given. Used by simulator and browser. */
export { type AbortSignalLike, type CallOptions, type ClientParts, type Level, QuorateClient } from './client.ts'
export { makeReceipt, type Receipt } from './receipt.ts'
export { type KeyInput, type Row, type RowValidator, table, type TableHandle, type TableOptions } from './table.ts'
export {
  type ContextToken,
  type GetOptions,
  type GetResult,
  joinContexts,
  type PutOptions,
  type PutResult,
  type RangeOptions,
  type RowResult,
  TableClient,
} from './table-client.ts'
export type { Seed } from './router.ts'
