/** The client without a platform: transport, clock and chance are given. Used by simulator and browser. */
/** What conditions, updates and acknowledgements are made of. */
export type { Acknowledgement, Condition, Fields, FieldType, MergeStep, Operand, Update } from '@quorate/core'
/** Planning needs no cluster: who would hold what, and what would move. */
export {
  type DeadNodeSpread,
  type MovementQuestion,
  type MovementReport,
  movementReport,
  type PlacementNode,
  tokensOfTexts,
} from '@quorate/core'
export type { ChangeEvent, ChangesOptions, ChangesReader } from './change-feed.ts'
export { type AbortSignalLike, type CallOptions, type ClientParts, QuorateClient } from './client.ts'
export { joinContexts } from './contexts.ts'
export { documentFromJson, documentToJson, type JsonValue } from './document-json.ts'
export * from './expressions.ts'
export * from './fields.ts'
export type { Level } from './level.ts'
export { operationFromHex, operationToHex } from './operation.ts'
export { PRESET_NAMES, type Preset, type PresetName, presets, presetsOf } from './presets.ts'
export { type ProxyIdentity, RoutingProxy } from './proxy.ts'
export type { RangeRow } from './range-row.ts'
export { makeReceipt, type Receipt } from './receipt.ts'
export type { Seed } from './router.ts'
export { Session } from './session.ts'
export {
  type RequestHeaders,
  SESSION_COOKIE,
  SESSION_HEADER,
  type SessionCookieOptions,
  sessionCookie,
  sessionFromRequest,
} from './session-http.ts'
export { SharedDocument, type SharedDocumentOptions } from './shared-document.ts'
export { sampledSplitPoints } from './split-points.ts'
export {
  crdt,
  type KeyInput,
  type MergingTableOptions,
  type Row,
  type RowValidator,
  type TableHandle,
  type TableOptions,
  table,
} from './table.ts'
export { TableClient } from './table-client.ts'
export type {
  ContextToken,
  GetOptions,
  GetResult,
  PutOptions,
  PutResult,
  RangeOptions,
  RowResult,
} from './table-options.ts'
