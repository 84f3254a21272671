/**
 * The way from a command to the cluster. `--connect` names data ports, `--http` an admin port; either is
 * enough, since members tell each other's addresses. Given both, rows go by the one and the admin interface by the
 * other: a proxy has no admin interface.
 */

import type { connect, Fields, Row, TableClient } from '@quorate/client'
import { AdminClient } from './admin-client.ts'
import { hostAndPort } from './arguments.ts'
import { CommandError, usageError } from './command-error.ts'
import { exitCodes } from './exit-codes.ts'

export const DEFAULT_HTTP = '127.0.0.1:7480'

export type Db = Awaited<ReturnType<typeof connect>>

export interface AccessOptions {
  readonly connect?: string | undefined
  readonly http?: string | undefined
}

export interface KnownNode {
  readonly id: string
  readonly admin: AdminClient
}

const CONNECT_MS = 5_000

export class ClusterAccess {
  readonly #connect: string | undefined
  readonly #http: string | undefined
  #database: Promise<Db> | undefined

  constructor(options: AccessOptions, environment: NodeJS.ProcessEnv = process.env) {
    // A flag is stronger than either variable: --connect must not lose to a QUORATE_HTTP from a profile.
    const isFlagged = options.connect !== undefined || options.http !== undefined
    const { QUORATE_CONNECT: connect, QUORATE_HTTP: http } = isFlagged ? {} : environment
    this.#connect =
      checked('--connect', options.connect, refuseConnect) ??
      checked('QUORATE_CONNECT', connect, refuseConnect)
    this.#http = checked('--http', options.http, hostAndPort) ?? checked('QUORATE_HTTP', http, hostAndPort)
  }

  database(): Promise<Db> {
    this.#database ??= this.#open()
    return this.#database
  }

  async #open(): Promise<Db> {
    if (this.#connect !== undefined) return openDatabase(this.#connect)
    const address = this.#http ?? DEFAULT_HTTP
    const { members, state } = await new AdminClient(address).status()
    if (members.length === 0)
      throw new CommandError(
        exitCodes.noQuorum,
        `the cluster has not formed yet (the node at ${address} is ${state})`,
        {
          done: 'Nothing was done.',
          next: 'start the other initial members, then quorate status',
        },
      )
    return openDatabase(`quorate://${members.map(member => member.address).join(',')}`)
  }

  /** A client of a table whose key fields only the cluster knows. */
  async table(name: string): Promise<{
    client: TableClient<Row>
    partition: string
    sort: string | undefined
    /** Of a table whose rows merge by themselves. */
    fields: Fields | undefined
  }> {
    const db = await this.database()
    const { table } = await import('@quorate/client')
    const { key, conflict } = await db.describe(name)
    const handle = table<Row>(name, {
      key: key.sort === undefined ? key.partition : [key.partition, key.sort],
    })
    return { client: db.table(handle), partition: key.partition, sort: key.sort, fields: conflict.fields }
  }

  /** The admin interface of one node that answers. */
  async admin(): Promise<AdminClient> {
    if (this.#http !== undefined || this.#connect === undefined)
      return new AdminClient(this.#http ?? DEFAULT_HTTP)
    const { router } = await this.database()
    const addresses = router.catalog.members.members.map(member => member.http).filter(http => http !== '')
    for (const address of addresses) {
      const admin = new AdminClient(address)
      if (
        await admin.status(2_000).then(
          () => true,
          () => false,
        )
      )
        return admin
    }
    throw new CommandError(
      exitCodes.unreachable,
      `no admin interface answers (tried ${addresses.join(', ') || 'none'})`,
    )
  }

  /** Every member, whether it answers or not. */
  async nodes(): Promise<KnownNode[]> {
    const { members, node } = await (await this.admin()).status()
    if (members.length === 0) return [{ id: node, admin: await this.admin() }]
    return members.map(({ id, http }) => ({ id, admin: new AdminClient(http) }))
  }

  async close(): Promise<void> {
    if (this.#database === undefined) return
    const db = await this.#database.catch(() => undefined)
    await db?.close()
  }
}

/** Addresses are looked at before anything is asked, so that a mistyped one is no "node that does not answer". */
function checked(
  name: string,
  text: string | undefined,
  check: (name: string, text: string) => string,
): string | undefined {
  return text === undefined ? undefined : check(name, text)
}

function refuseConnect(name: string, text: string): string {
  const [, addresses] = /^quorate:\/\/([^/?]+)\/?$/.exec(text) ?? []
  if (addresses === undefined)
    throw usageError(`${name} looks like quorate://127.0.0.1:7701,127.0.0.1:7702, not "${text}"`)
  for (const address of addresses.split(',')) hostAndPort(name, address.trim())
  return text
}

async function openDatabase(url: string): Promise<Db> {
  const { connect } = await import('@quorate/client')
  try {
    return await connect(url, { timeoutMs: CONNECT_MS })
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'UNAVAILABLE')) throw error
    throw new CommandError(exitCodes.unreachable, `no node answers at ${url}`, {
      done: 'Nothing was done.',
      next: 'quorate start …, or give --connect quorate://HOST:PORT of a node that runs',
    })
  }
}
