/** The composition root: one node on a real machine. */

import { statfsSync } from 'node:fs'
import { join } from 'node:path'
import { NodeClock, TcpTransport } from '@quorate/client/node-transport'
import {
  AssertionError,
  Node,
  type NodeConfig,
  type NodeHooks,
  QuorateError,
  stringToHex,
} from '@quorate/core'
import { type Logger, pino } from 'pino'
import { LmdbTable } from './adapters/lmdb-table.ts'
import { NodeDisk } from './adapters/node-disk.ts'
import { nodeRandom } from './adapters/node-random.ts'
import { adminApp, listenAdmin } from './admin-http.ts'
import { DataDirectory } from './data-directory.ts'
import { etcdRegisters } from './etcd/etcd-registers.ts'
import { serverExit } from './exit-codes.ts'
import { Introduction } from './introduction.ts'
import { LateTransport } from './late-transport.ts'
import type { ServerConfig } from './server-config.ts'
import { TroubleLog } from './trouble-log.ts'

export interface RunningServer {
  readonly node: Node
  readonly address: string
  readonly http: string
  stop(): Promise<void>
}

export interface ServerHooks {
  /** The process must end now, with this code. Default: log and exit. */
  readonly onFatal?: (exitCode: number, error: unknown) => void
  readonly log?: Logger
}

export async function startServer(config: ServerConfig, hooks: ServerHooks = {}): Promise<RunningServer> {
  const log =
    hooks.log ?? pino({ level: config.logLevel, base: { node: config.node.id } }, pino.destination(2))
  const fatal = hooks.onFatal ?? ((code: number): void => process.exit(code))
  const directory = await DataDirectory.open(config.data, config.node.id)
  const onFatal = (error: QuorateError): void => {
    log.fatal({ code: error.code, data: error.data }, error.message)
    fatal(error.code === 'STORE_DAMAGED' ? serverExit.storeDamaged : serverExit.storeFailed, error)
  }
  const onRefused = (error: QuorateError): void => {
    log.fatal({ code: error.code, data: error.data }, error.message)
    fatal(serverExit.refused, error)
  }
  const troubles = new TroubleLog(log)
  let transport: TcpTransport | undefined
  let node: Node | undefined
  try {
    const late = new LateTransport()
    const opened = await openNode(config, directory, late, {
      onFatal,
      onTrouble: message => troubles.needsOperator(config.node.id, message),
      onRefused,
      freeBytes: freeBytesOf(directory.path),
    })
    node = opened
    transport = transportOf(opened, troubles)
    const port = await listenOn('listen', config.listen, (host, wanted) => transport!.listen(host, wanted))
    const tokenFile = join(directory.path, 'admin-token')
    const app = adminApp({ node: opened, token: directory.token, tokenFile })
    const admin = await listenOn('http', config.http, (host, wanted) => listenAdmin(app, host, wanted))
    const address = `${hostOf(config.listen)}:${port}`
    const http = `${hostOf(config.http)}:${admin.port}`
    log.info(
      { address, http, data: config.data, incarnation: stringToHex(opened.store.incarnation) },
      'serving',
    )
    const introduction = introduce(config.node, opened, troubles)
    const mayBegin = introduction?.ask() ?? Promise.resolve(undefined)
    const endTransport = transport
    let stopping = false
    void mayBegin.then(async refused => {
      await introduction?.stop()
      if (refused !== undefined) onRefused(refused)
      else if (!stopping) late.attach(endTransport)
    })
    return {
      node: opened,
      address,
      http,
      async stop() {
        stopping = true
        await introduction?.stop()
        await admin.close()
        await late.close()
        await endTransport.close()
        await opened.stop()
        await directory.release()
        log.info('stopped')
      },
    }
  } catch (error) {
    // A node that cannot be reached must not go on by itself: its tasks would keep the process alive.
    await node?.stop()
    await transport?.close()
    await directory.release()
    throw error
  }
}

function transportOf(node: Node, troubles: TroubleLog): TcpTransport {
  return new TcpTransport({
    identity: { node: node.config.id, incarnation: node.store.incarnation, cluster: '' },
    onRefused: (peer, error) => troubles.met(peer, error),
    onReached: peer => troubles.over(peer),
  })
}

async function openNode(
  config: ServerConfig,
  directory: DataDirectory,
  transport: LateTransport,
  hooks: NodeHooks,
): Promise<Node> {
  const world = {
    clock: new NodeClock(),
    random: nodeRandom(),
    disk: await NodeDisk.open(directory.log),
    table: await LmdbTable.open(directory.table),
    transport,
  }
  const { coordination } = config
  const registers = coordination.kind === 'etcd' ? { registers: etcdRegisters(coordination) } : {}
  return Node.open({ ...world, ...registers }, config.node, hooks)
}

/** A node that joins asks first whether it may have its name. */
function introduce(config: NodeConfig, node: Node, troubles: TroubleLog): Introduction | undefined {
  const { join } = config
  if (join === undefined) return undefined
  return new Introduction({
    config: { ...config, join },
    incarnation: node.store.incarnation,
    isKnown: node.catalog.members.members.length > 0,
    onTrouble: (address, error) => troubles.met(address, error),
  })
}

const FREE_BYTES_MS = 1_000

/** Bytes free for this process on the disk of a directory, looked up once a second at most; 0: not known. */
function freeBytesOf(path: string): () => number {
  let known = { bytes: 0, untilMs: Number.NEGATIVE_INFINITY }
  return () => {
    const nowMs = performance.now()
    if (nowMs < known.untilMs) return known.bytes
    let bytes = 0
    try {
      const { bavail, bsize } = statfsSync(path)
      bytes = bavail * bsize
    } catch {
      // Not every file system tells; a plan then has no headroom to show.
    }
    known = { bytes, untilMs: nowMs + FREE_BYTES_MS }
    return bytes
  }
}

const hostOf = (bind: string): string => bind.slice(0, bind.lastIndexOf(':'))

async function listenOn<T>(
  name: string,
  bind: string,
  listen: (host: string, port: number) => Promise<T>,
): Promise<T> {
  const at = bind.lastIndexOf(':')
  try {
    return await listen(bind.slice(0, at).replace(/^\[|\]$/g, ''), Number(bind.slice(at + 1)))
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    const why = code === 'EADDRINUSE' ? 'the port is in use' : (cause as Error).message
    throw new QuorateError('BAD_REQUEST', `${name}: cannot listen on ${bind}: ${why}`, {
      data: { field: name, bind, systemCode: code ?? '' },
      cause,
    })
  }
}

/** For the last line of defence of a process: which exit code an uncaught error deserves. */
export function exitCodeFor(error: unknown): number {
  if (error instanceof AssertionError) return serverExit.assertion
  return serverExit.unexpected
}
