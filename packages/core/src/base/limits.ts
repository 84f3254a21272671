/**
 * Every bound in one place, with its unit in the name and its reason beside it. Nothing in Quorate
 * grows without one of these.
 */

const KiB = 1024
const MiB = 1024 * KiB

export const limits = {
  /** A partition key or a sort key, encoded. LMDB keys end at 1,978 bytes; token, table and both keys must fit. */
  keyBytesMax: 900,
  /** One row's encoded document. Larger ones stall everything that shares the connection and the sync. */
  valueBytesMax: 1 * MiB,
  /** Concurrent values of one row; past it writes are refused with TOO_MANY_SIBLINGS, never pruned. */
  siblingsMax: 64,
  /** Parts that the writes of one key of a table may go to: one is no split, and a read asks for all of them. */
  writePartsMin: 2,
  writePartsMax: 64,
  /** Seen intervals of one cell: actors × restarts that wrote this row. */
  intervalsMax: 4096,
  /** Superseded operations that a cell keeps (16 bytes each), the newest: see cells/superseded.ts. */
  supersededMax: 64,
  /** A row with so many is worth a collector's rewrite; fewer stay until the row goes or gathers more. */
  supersededKept: 4,
  /** Atoms of one field that are worth a collector's rewrite (crdt/field-rule.ts): each is about 45 bytes. */
  atomsKept: 8,
  /** One frame on the wire: the largest cell (all siblings at moderate size) and its envelope. */
  frameBytesMax: 16 * MiB,
  /** One encoded cell: it must fit in a frame with room for its envelope. */
  cellBytesMax: 12 * MiB,
  /** A cell that a write makes: three coordinators cut off from each other still make one that fits. */
  cellWrittenBytesMax: 4 * MiB,
  /** Nesting of a document. The codec recurses; 64 is far past any real document. */
  documentDepthMax: 64,
  /** Elements in any list on the wire: an allocation made before its content has arrived is bounded. */
  listLengthMax: 1_000_000,
  /** Rows that one session remembers by themselves; past it the oldest are settled (sessions/session-token.ts). */
  sessionRowsMax: 256,
  /** Partitions with leaders that one session remembers. */
  sessionLedMax: 1_024,
  /** Rows that a write in a session may be caused by, and their bytes: they are stored with its value. */
  causesMax: 32,
  causesBytesMax: 4 * KiB,
  /** What those rows take, their keys among it: a token travels with every request of its session. */
  sessionBytesMax: 32 * KiB,
  /** Calls of one session at once, each with a reply of its own: further ones wait for their turn. */
  sessionCallsMax: 32,
  /** Tokens of as many calls, and the one before them. */
  sessionBundleBytesMax: 33 * 36 * KiB,
  /** Unsent bytes for one peer before frames to it are dropped: a dead peer must not eat the heap. */
  sendBufferBytesMax: 64 * MiB,
  /** Connections one node accepts. Each costs buffers; 1,000 clients is far past a pool per process. */
  connectionsMax: 1024,

  /** Reservation of the clock's upper bound: one write per this long, and the skip ahead at restart. */
  clockReserveMs: 3_000,
  /** Stamps further ahead than this are refused, not absorbed. Must exceed clockReserveMs. */
  clockDriftMaxMs: 10_000,

  /** Requests one node coordinates at once; above it OVERLOADED is answered before any work. */
  coordinatingMax: 8192,
  /** Batches handed to the store whose sync is outstanding, in bytes. */
  storeInFlightBytesMax: 64 * MiB,
  /** The request's whole life when the caller names none. */
  requestTimeoutMs: 5_000,
  /** Longest deadline a caller may ask for. */
  requestTimeoutMaxMs: 120_000,
  /** After this long without a home replica's answer its write becomes a hint. */
  replicaTimeoutMs: 1_000,

  /** One write-ahead log segment; at the checkpoint a new one starts. */
  segmentBytesMax: 32 * MiB,
  /** Memtable size that starts a checkpoint. Two of them may be alive: one filling, one draining. */
  memtableBytesMax: 16 * MiB,
  /** One transaction into the table while checkpointing: its encoding holds up everything else, 4 MiB for 150 ms, this for 20. */
  checkpointBatchBytes: 256 * KiB,

  /** Hints for one target: count, bytes and age. Past them the sweep repairs instead. */
  hintCountMax: 200_000,
  hintBytesMax: 256 * MiB,
  hintAgeMaxMs: 3 * 3_600_000,
  /** Hints replayed to one returning node per second, and in flight at once. */
  hintReplayPerSecond: 20_000,
  hintReplayInFlight: 128,

  /** Partitions that one scan asks at once: enough to hide the way there and back, few beside other users' requests. */
  scanConcurrency: 8,
  /** The most that may be asked for: each partition asked may hold a page in memory. */
  scanConcurrencyMax: 64,
  /** Hedged reads may add this share of extra read requests. */
  hedgeBudgetShare: 0.05,

  /** Rows one sweep session may repair per second. */
  sweepRowsPerSecond: 20_000,
  /** Leaves of a Merkle tree per partition at most; fewer when a table has many partitions. */
  sweepLeavesMax: 4096,
  /** All leaves of one table on one node; 24 bytes each. */
  sweepLeavesPerTable: 262_144,
  /** Cells the scrub re-reads per second. */
  scrubCellsPerSecond: 5_000,
  /** Tombstones proposed for collection in one round of one partition. */
  collectablePerRound: 1_000,
  /** Bytes of cells in one such round: it rewrites them in one batch on every home. */
  collectableBytesPerRound: 4 * MiB,

  /** Rows in one page of a query or scan, and its bytes. */
  pageRowsMax: 1_000,
  pageBytesMax: 4 * MiB,

  /** Ledger entries one node keeps before the oldest are dropped (and counted as dropped). */
  ledgerEntriesMax: 1_000_000,

  /** Partitions in one piece of a range table's map that split by themselves: each change sends and stores the piece. */
  splitPartitionsMax: 1_000,

  /** One entry of a leader's log: a row before and after, with its envelope. */
  logBodyBytesMax: 2 * MiB + 16 * KiB,
  /** Bytes of entries in one message to a follower, and such messages on the way to it at once. */
  logBatchBytes: 256 * KiB,
  logPipeline: 8,
  /** Changes of leader that a log remembers: 16 bytes each. */
  epochsMax: 100_000,
  /** Entries whose operations a leader knows, to tell a retry: what is tried longer than they last may be applied twice. */
  logOperationsMax: 131_072,
  /** Writes that wait for their copies at one leader; above it OVERLOADED is answered before any work. */
  logWaitingMax: 8_192,

  /** Readers of one table's feed that logs are kept for, the length of a name, and how long one may be silent. */
  feedReadersMax: 64,
  feedReaderNameMax: 64,
  feedReaderKeptMs: 7 * 24 * 3_600_000,

  /** Value of one register: the members and tables of a cluster must fit. */
  registerBytesMax: 1 * MiB,
  /** Operation ids one register remembers to recognise a retry. */
  registerOperationsMax: 64,
  /** Tables of one cluster, and nodes. */
  tablesMax: 1_000,
  membersMax: 100,
} as const
