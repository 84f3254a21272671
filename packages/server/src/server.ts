/** The composition root: one node on a real machine. */

import { statfsSync } from 'node:fs'
import { join } from 'node:path'
import { NodeClock, TcpTransport } from '@quorate/client/node-transport'
import { AssertionError, Node, type NodeConfig, QuorateError, stringToHex } from '@quorate/core'
import { type Logger, pino } from 'pino'
import { LmdbTable } from './adapters/lmdb-table.ts'
import { loadMergeModules } from './adapters/merge-modules.ts'
import { NodeDisk } from './adapters/node-disk.ts'
import { nodeRandom, secretRandom } from './adapters/node-random.ts'
import { type AdminListener, adminApp, listenAdmin } from './admin-http.ts'
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
  const endings = endingsOf(log, hooks)
  const directory = await DataDirectory.open(config.data, config.node.id)
  const troubles = new TroubleLog(log)
  let transport: TcpTransport | undefined
  let node: Node | undefined
  try {
    const late = new LateTransport()
    node = await openNode(config, directory, late, troubles, endings, log)
    transport = new TcpTransport({
      identity: { node: config.node.id, incarnation: node.store.incarnation, cluster: '' },
      onRefused: (peer, error) => troubles.met(peer, error),
      onReached: peer => troubles.over(peer),
    })
    const own: Parts = { node, transport, late, directory }
    const { admin, ...where } = await listen(config, own)
    const incarnation = stringToHex(node.store.incarnation)
    log.info({ ...where, data: config.data, incarnation }, 'serving')
    const introduction = introduce(config.node, node, troubles)
    beginToSpeak(introduction, own, endings.onRefused)
    return {
      node,
      ...where,
      async stop() {
        await introduction?.stop()
        await admin.close()
        await late.close()
        await own.transport.close()
        await own.node.stop()
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

interface Parts {
  readonly node: Node
  readonly transport: TcpTransport
  readonly late: LateTransport
  readonly directory: DataDirectory
}

/** Why a process may end by itself. */
interface Endings {
  readonly onFatal: (error: QuorateError) => void
  readonly onRefused: (error: QuorateError) => void
}

function endingsOf(log: Logger, hooks: ServerHooks): Endings {
  const fatal = hooks.onFatal ?? ((code: number): void => process.exit(code))
  const ending = (codeOf: (error: QuorateError) => number) => (error: QuorateError) => {
    log.fatal({ code: error.code, data: error.data }, error.message)
    fatal(codeOf(error), error)
  }
  return {
    onFatal: ending(error =>
      error.code === 'STORE_DAMAGED' ? serverExit.storeDamaged : serverExit.storeFailed,
    ),
    onRefused: ending(() => serverExit.refused),
  }
}

async function openNode(
  config: ServerConfig,
  directory: DataDirectory,
  transport: LateTransport,
  troubles: TroubleLog,
  endings: Endings,
  log: Logger,
): Promise<Node> {
  const disk = await NodeDisk.open(directory.log)
  const table = await LmdbTable.open(directory.table)
  const world = {
    clock: new NodeClock(),
    random: nodeRandom(),
    secrets: secretRandom,
    disk,
    table,
    transport,
  }
  const { coordination } = config
  const mergeFunctions = await loadMergeModules(config.mergeModules)
  const registers = coordination.kind === 'etcd' ? { registers: etcdRegisters(coordination) } : {}
  return Node.open({ ...world, ...registers, mergeFunctions }, config.node, {
    ...endings,
    onTrouble: message => troubles.needsOperator(config.node.id, message),
    onNews: message => log.info(message),
    freeBytes: freeBytesOf(directory.path),
  })
}

async function listen(
  config: ServerConfig,
  { node, transport, directory }: Parts,
): Promise<{ address: string; http: string; admin: AdminListener }> {
  const port = await listenOn('listen', config.listen, (host, wanted) => transport.listen(host, wanted))
  const tokenFile = join(directory.path, 'admin-token')
  const app = adminApp({ node, token: directory.token, tokenFile })
  const admin = await listenOn('http', config.http, (host, wanted) => listenAdmin(app, host, wanted))
  return {
    address: `${hostOf(config.listen)}:${port}`,
    http: `${hostOf(config.http)}:${admin.port}`,
    admin,
  }
}

/** The node speaks in its own name as soon as it may. */
function beginToSpeak(
  introduction: Introduction | undefined,
  { late, transport }: Parts,
  onRefused: (error: QuorateError) => void,
): void {
  if (introduction === undefined) return late.attach(transport)
  void introduction.ask().then(async answer => {
    await introduction.stop()
    if (answer === 'welcome') late.attach(transport)
    else if (answer !== 'stopped') onRefused(answer)
  })
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
