/** The door of the server. */

export type { Explanation, NodeStatus, TableStatus } from '@quorate/core'
export { isLmdbEcho, LmdbTable, type LmdbTableOptions } from './adapters/lmdb-table.ts'
export { makeDirectory } from './adapters/make-directory.ts'
export { NodeDisk } from './adapters/node-disk.ts'
export { nodeRandom } from './adapters/node-random.ts'
export { type AdminOptions, adminApp, listenAdmin } from './admin-http.ts'
export { DataDirectory } from './data-directory.ts'
export { serverExit } from './exit-codes.ts'
export { metricsText } from './metrics.ts'
export { openApi } from './open-api.ts'
export { exitCodeFor, type RunningServer, type ServerHooks, startServer } from './server.ts'
export { environmentSettings, readConfigFile, resolveConfig, type ServerConfig } from './server-config.ts'
