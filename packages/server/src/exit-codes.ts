/** Exit codes of a server process that stops by itself. Documented in the README; the demo and tests rely on them. */
export const serverExit = {
  ok: 0,
  unexpected: 1,
  /** Configuration that cannot work. */
  usage: 2,
  /** The cluster does not take the node: another store, another cluster, an id or a zone that cannot be. */
  refused: 6,
  /** The store is damaged beyond the log's help: rebuild from replicas. */
  storeDamaged: 70,
  /** A sync or append failed: nothing after it was acknowledged; the process must not go on. */
  storeFailed: 74,
  /** An assertion failed: a state that the code says is impossible. */
  assertion: 86,
} as const
