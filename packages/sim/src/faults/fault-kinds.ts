/** Every kind of fault there is, each with its own counter. */

export const faultKinds = [
  'message delay',
  'message loss',
  'message duplication',
  'message reordering',
  'one-way cut',
  'partial cut',
  'crash losing unsynced bytes',
  'process kill',
  'power cut of many',
  'pause',
  'clock jump',
  'clock drift',
  'slow disk',
  'failed sync',
  'torn write',
  'disk full',
  'bit flip in the log',
  'bit flip in the table',
  'store wiped',
] as const

export type FaultKind = (typeof faultKinds)[number]

export type FaultCounts = Record<FaultKind, number>

export function noFaults(): FaultCounts {
  return Object.fromEntries(faultKinds.map(kind => [kind, 0])) as FaultCounts
}
