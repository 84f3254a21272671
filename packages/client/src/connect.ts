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
  readonly [K in keyof H]: H[K] extends TableHandle<infer T, infer Steps>
    ? T extends object
      ? TableClient<T, Steps>
      : never
    : never
}

export interface ConnectOptions<H> extends CallOptions {
  /** Typed tables, reachable under these names on the connection. */
  readonly tables?: H
}

/** A connection: the tables by name, and everything else of the client. */
export type Database<H> = Clients<H> &
  Pick<
    QuorateClient,
    'createTable' | 'alterTable' | 'table' | 'tables' | 'describe' | 'session' | 'close' | 'router'
  > &
  AsyncDisposable

/** What a connect string says besides whom to ask first. */
export interface ConnectString {
  readonly addresses: readonly string[]
  /** Where the client is: what any replica may answer is asked of those in its zone first, then in its region. */
  readonly zone?: string
  readonly region?: string
}

const PARAMETERS = ['zone', 'region'] as const

/** `quorate://h1:7701,h2:7701?zone=a&region=eu` */
export function parseConnectString(url: string): ConnectString {
  const match = /^quorate:\/\/([^/?]+)\/?(?:\?(.*))?$/.exec(url)
  const addresses = match?.[1]?.split(',').map(address => address.trim()) ?? []
  const wrong = (why: string): QuorateError =>
    new QuorateError(
      'BAD_REQUEST',
      `"${url}" is not a connect string${why}; it looks like quorate://127.0.0.1:7701,127.0.0.1:7702 or quorate://127.0.0.1:7701?zone=a&region=eu`,
    )
  if (addresses.length === 0) throw wrong('')
  for (const address of addresses) {
    if (!/^[^:\s]+:\d{1,5}$|^\[[0-9a-fA-F:]+\]:\d{1,5}$/.test(address))
      throw wrong(`: "${address}" is not host:port`)
    const port = Number(address.slice(address.lastIndexOf(':') + 1))
    if (port < 1 || port > PORT_MAX) throw wrong(`: the port of ${address} is not from 1 to ${PORT_MAX}`)
  }
  const near: { zone?: string; region?: string } = {}
  for (const [name, value] of new URLSearchParams(match?.[2] ?? '')) {
    const known = PARAMETERS.find(parameter => parameter === name)
    if (known === undefined) throw wrong(`: "${name}" is not known, zone and region are`)
    if (value === '' || near[known] !== undefined) throw wrong(`: ${name} is empty, or there twice`)
    near[known] = value
  }
  return { addresses, ...near }
}

/** Connects to a cluster through any of its nodes. Rejects with UNAVAILABLE when none answers in time. */
export async function connect<const H extends object = Record<never, never>>(
  url: string,
  options: ConnectOptions<H> = {},
): Promise<Database<H>> {
  const { addresses, zone, region } = parseConnectString(url)
  const seeds = addresses.map(address => ({ peer: seedPeer(address), address }))
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
  client.router.near = { zone, region }
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
    alterTable: client.alterTable.bind(client),
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
