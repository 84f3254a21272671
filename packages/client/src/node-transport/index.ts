export { NodeClock } from './node-clock.ts'
export {
  isSeed,
  noIncarnation,
  seedPeer,
  type TcpIdentity,
  TcpTransport,
  type TcpTransportOptions,
} from './tcp-transport.ts'
