/** A proxy process: the router between clients and cluster (`@quorate/client`), on real sockets. Loopback only. */

import { randomBytes } from 'node:crypto'
import { NodeClock, noIncarnation, seedPeer, TcpTransport } from '@quorate/client/node-transport'
import { QuorateClient, RoutingProxy } from '@quorate/client/pure'
import { nodeId, type PeerId, QuorateError, Rpc, SeededRandom } from '@quorate/core'
import { isLoopback } from './server-config.ts'

export interface ProxyConfig {
  /** `host:port` for its clients. */
  readonly listen: string
  /** `host:port` of some nodes of the cluster. */
  readonly nodes: readonly string[]
}

export interface RunningProxy {
  /** With the port that was given when 0 was asked for. */
  readonly address: string
  readonly counters: RoutingProxy['counters']
  stop(): Promise<void>
}

const ID = nodeId('proxy')
const READY_MS = 30_000

/** Rejects with UNAVAILABLE when no node of the cluster answers. */
export async function startProxy({ listen, nodes }: ProxyConfig): Promise<RunningProxy> {
  const at = listen.lastIndexOf(':')
  const host = listen.slice(0, at).replace(/^\[|\]$/g, '')
  if (!isLoopback(listen))
    throw new QuorateError('BAD_REQUEST', `listen: ${listen} is not a loopback address`, {
      data: { field: 'listen' },
    })
  const clock = new NodeClock()
  const client = new QuorateClient({
    transport: new TcpTransport({ identity: { node: nodeId(''), incarnation: noIncarnation, cluster: '' } }),
    clock,
    random: new SeededRandom(randomBytes(4).readUInt32LE()),
    seeds: nodes.map(address => ({ peer: seedPeer(address), address })),
  })
  const front = new TcpTransport({ identity: { node: ID, incarnation: noIncarnation, cluster: '' } })
  try {
    await client.ready({ timeoutMs: READY_MS })
    const port = await front.listen(host, Number(listen.slice(at + 1)))
    const address = `${listen.slice(0, at)}:${port}`
    const rpc = new Rpc(front, clock, { self: ID as string as PeerId, isMember: () => false })
    const { counters } = new RoutingProxy(client, rpc, { id: ID, address })
    return {
      address,
      counters,
      async stop() {
        rpc.close()
        await front.close()
        await client.close()
      },
    }
  } catch (error) {
    await front.close()
    await client.close()
    throw error
  }
}
