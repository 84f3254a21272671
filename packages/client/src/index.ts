export { isQuorateError, QuorateError } from '@quorate/core'
export {
  type ConnectOptions,
  type ConnectString,
  connect,
  type Database,
  parseConnectString,
} from './connect.ts'
export * from './pure.ts'
