/**
 * Version of the wire protocol. Peers of another version are refused at the first frame, by name.
 *
 * History:
 *   1  first version: leaderless tables, registers, sweeps.
 *   2  requests carry the version of their partition; maps in pieces; joining and movement.
 *   3  parts of a row whose writes are split; contexts with a part each; receipts name the route.
 *   4  sessions: a token with requests and replies; tables with one leader per partition.
 */
export const PROTOCOL_VERSION = 4

/** First bytes of a connection, before the first length: tells Quorate from anything else. */
export const PROTOCOL_MAGIC = 'QRT1'
