/** The door of the server. */

export { isLmdbEcho, LmdbTable, type LmdbTableOptions } from './adapters/lmdb-table.ts'
export { NodeClock } from './adapters/node-clock.ts'
export { NodeDisk } from './adapters/node-disk.ts'
export { nodeRandom } from './adapters/node-random.ts'
