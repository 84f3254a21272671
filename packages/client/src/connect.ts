/** `connect`: the client on Node, over TCP. */

import { randomBytes } from 'node:crypto'
import { nodeId, QuorateError, SeededRandom } from '@quorate/core'
import { type CallOptions, QuorateClient } from './client.ts'
import { NodeClock, noIncarnation, seedPeer, TcpTransport } from './node-transport/index.ts'
import type { TableHandle } from './table.ts'
import type { TableClient } from './table-client.ts'

const PORT_MAX = 65_535

type Handles = { readonly [name: string]: TableHandle<never> }
type Clients<H> = {
  readonly [K in keyof H]: H[K] extends TableHandle<infer T>
    ? T extends object
      ? TableClient<T>
      : never
    : never
}

export interface ConnectOptions<H> extends CallOptions {
  /** Typed tables, reachable under these names on the connection. */
  readonly tables?: H
}

/** A connection: the tables by name, and everything else of the client. */
export type Database<H> = Clients<H> &
  Pick<QuorateClient, 'createTable' | 'table' | 'tables' | 'describe' | 'session' | 'close' | 'router'> &
  AsyncDisposable

/** `quorate://h1:7701,h2:7701` */
export function parseConnectString(url: string): string[] {
  const match = /^quorate:\/\/([^/?]+)/.exec(url)
  const addresses = match?.[1]?.split(',').map(address => address.trim()) ?? []
  const wrong = (why: string): QuorateError =>
    new QuorateError(
      'BAD_REQUEST',
      `"${url}" is not a connect string${why}; it looks like quorate://127.0.0.1:7701,127.0.0.1:7702`,
    )
  if (addresses.length === 0) throw wrong('')
  for (const address of addresses) {
    if (!/^[^:\s]+:\d{1,5}$|^\[[0-9a-fA-F:]+\]:\d{1,5}$/.test(address))
      throw wrong(`: "${address}" is not host:port`)
    const port = Number(address.slice(address.lastIndexOf(':') + 1))
    if (port < 1 || port > PORT_MAX) throw wrong(`: the port of ${address} is not from 1 to ${PORT_MAX}`)
  }
  return addresses
}

/** Connects to a cluster through any of its nodes. Rejects with UNAVAILABLE when none answers in time. */
export async function connect<const H extends object = Record<never, never>>(
  url: string,
  options: ConnectOptions<H> = {},
): Promise<Database<H>> {
  const seeds = parseConnectString(url).map(address => ({ peer: seedPeer(address), address }))
  let refusal: QuorateError | undefined
  const transport = new TcpTransport({
    identity: { node: nodeId(''), incarnation: noIncarnation, cluster: '' },
    onRefused: (_, error) => {
      // Of several seeds, one that answers wrongly tells more than one that does not answer.
      if (error.code !== 'UNREACHABLE') refusal = error
    },
  })
  const random = new SeededRandom(randomBytes(4).readUInt32LE())
  const client = new QuorateClient({ transport, clock: new NodeClock(), random, seeds })
  try {
    await client.ready(options)
  } catch (error) {
    await client.close()
    throw refusal ?? error
  }
  const tables: Record<string, unknown> = {}
  for (const [name, handle] of Object.entries((options.tables ?? {}) as Handles))
    tables[name] = client.table(handle)
  const base = {
    createTable: client.createTable.bind(client),
    table: client.table.bind(client),
    tables: client.tables.bind(client),
    session: client.session.bind(client),
    describe: client.describe.bind(client),
    close: () => client.close(),
    router: client.router,
    [Symbol.asyncDispose]: () => client.close(),
  }
  return Object.assign(base, tables) as unknown as Database<H>
}
