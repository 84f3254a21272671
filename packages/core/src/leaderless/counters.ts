/** What this node did, counted; shown in status and metrics. Monotonic within one life of the process. */
export interface Counters {
  writes: number
  reads: number
  ranges: number
  forwarded: number
  writesShort: number
  readsShort: number
  overloaded: number
  staleMap: number
  replicaWrites: number
  replicaReads: number
  hintsStored: number
  hintsReplayed: number
  hintsReceived: number
  hintsDropped: number
  hintsExpired: number
  readRepairs: number
  hedges: number
  hedgesWithheld: number
  sweepExchanges: number
  sweepRowsCompared: number
  sweepRowsRepaired: number
  sweepFalseAlarms: number
  sweepRowsRefused: number
  scrubbedCells: number
  damagedCells: number
  healedCells: number
  tombstonesCollected: number
  supersededCollected: number
  /** Rows that sessions have forgotten because they are on a write quorum. */
  sessionRowsSettled: number
  /** Reads that asked further homes because a session had seen more. */
  sessionReadsWidened: number
  /** Rows removed here because their partition is kept elsewhere now. */
  rowsMovedAway: number
  /** Entries sent to followers, and the bytes of what they carry, by what the table's log ships. */
  logEntriesSent: number
  logBytesSentStatement: number
  logBytesSentPhysical: number
  logBytesSentLogical: number
  /** Leaderships begun here, and those of them that were elections which this node asked for. */
  leaderships: number
  elections: number
}

export function newCounters(): Counters {
  return {
    writes: 0,
    reads: 0,
    ranges: 0,
    forwarded: 0,
    writesShort: 0,
    readsShort: 0,
    overloaded: 0,
    staleMap: 0,
    replicaWrites: 0,
    replicaReads: 0,
    hintsStored: 0,
    hintsReplayed: 0,
    hintsReceived: 0,
    hintsDropped: 0,
    hintsExpired: 0,
    readRepairs: 0,
    hedges: 0,
    hedgesWithheld: 0,
    sweepExchanges: 0,
    sweepRowsCompared: 0,
    sweepRowsRepaired: 0,
    sweepFalseAlarms: 0,
    sweepRowsRefused: 0,
    scrubbedCells: 0,
    damagedCells: 0,
    healedCells: 0,
    tombstonesCollected: 0,
    supersededCollected: 0,
    sessionRowsSettled: 0,
    sessionReadsWidened: 0,
    rowsMovedAway: 0,
    logEntriesSent: 0,
    logBytesSentStatement: 0,
    logBytesSentPhysical: 0,
    logBytesSentLogical: 0,
    leaderships: 0,
    elections: 0,
  }
}

/** What counts the bytes of a log that ships what. */
export const SENT_BYTES = {
  statement: 'logBytesSentStatement',
  physical: 'logBytesSentPhysical',
  logical: 'logBytesSentLogical',
} as const satisfies Record<string, keyof Counters>
