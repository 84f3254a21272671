export { isQuorateError, QuorateError } from '@quorate/core'
export { connect, type ConnectOptions, type Database, parseConnectString } from './connect.ts'
export * from './pure.ts'
