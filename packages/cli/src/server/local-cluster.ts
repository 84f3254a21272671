/**
 * Several nodes as processes on this machine, each with its own data directory: what the demo runs on.
 * Everything started here is ended here, by process id, and temporary directories are removed.
 */

import { type ChildProcess, fork } from 'node:child_process'
import { closeSync, existsSync, openSync, readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { PORT_MAX } from '../arguments.ts'
import { CommandError, usageError } from '../command-error.ts'
import { exitCodes } from '../exit-codes.ts'
import { consecutivePorts, freePorts } from './free-ports.ts'
import type { LocalNodeMessage, LocalNodeSettings } from './local-node.ts'

const DATA_PORT = 7701
const START_MS = 20_000
const STOP_MS = 6_000

export interface LocalNode {
  readonly id: string
  readonly address: string
  readonly http: string
  readonly data: string
  /** Undefined while the node is down. */
  process: ChildProcess | undefined
}

export interface LocalClusterOptions {
  readonly nodes: number
  /** First admin port; 0 for any that are free, undefined for 7480 if it is free. */
  readonly httpPort?: number | undefined
  /** Kept; without it a temporary directory is made and removed. */
  readonly directory?: string | undefined
  readonly settings?: Readonly<Record<string, unknown>>
  /** A node ended that nobody asked to end. */
  readonly onLost?: (node: LocalNode, why: string) => void
}

/**
 * Room for young objects, in MiB, twice what Node gives: rows on their way into a memtable survive each
 * collection of the young, so fewer of those are less work. Taken as needed: an idle node stays small.
 */
const YOUNG_SPACE = '--max-semi-space-size=32'
const ENTRY = fileURLToPath(new URL('./local-node.js', import.meta.url))

export class LocalCluster {
  readonly nodes: readonly LocalNode[]
  readonly directory: string
  readonly temporary: boolean
  readonly #options: LocalClusterOptions
  readonly #expected = new WeakSet<ChildProcess>()
  #closed = false

  private constructor(options: LocalClusterOptions, nodes: readonly LocalNode[], directory: string) {
    this.#options = options
    this.nodes = nodes
    this.directory = directory
    this.temporary = options.directory === undefined
  }

  /** Chooses ports and directories; starts nothing yet. */
  static async prepare(options: LocalClusterOptions): Promise<LocalCluster> {
    const { nodes: count, httpPort } = options
    refuseUsed(options.directory)
    const httpPorts = await adminPorts(httpPort, count)
    const dataPorts =
      (httpPort === 0 ? undefined : await consecutivePorts(DATA_PORT, count)) ?? (await freePorts(count))
    const directory = options.directory ?? (await mkdtemp(join(tmpdir(), 'quorate-demo-')))
    const nodes = Array.from({ length: count }, (_, i) => ({
      id: `n${i + 1}`,
      address: `127.0.0.1:${dataPorts[i]}`,
      http: `127.0.0.1:${httpPorts[i]}`,
      data: join(directory, `n${i + 1}`),
      process: undefined,
    }))
    return new LocalCluster(options, nodes, directory)
  }

  node(id: string): LocalNode {
    const found = this.nodes.find(node => node.id === id)
    if (found === undefined)
      throw new CommandError(
        exitCodes.usage,
        `there is no node "${id}"; there are ${this.nodes.map(n => n.id).join(', ')}`,
      )
    return found
  }

  get connectString(): string {
    return `quorate://${this.nodes.map(node => node.address).join(',')}`
  }

  async startAll(): Promise<void> {
    await Promise.all(this.nodes.map(node => this.start(node.id)))
  }

  /** Resolves when the node listens; rejects with what it said when it ends before. */
  async start(id: string): Promise<void> {
    const node = this.node(id)
    if (this.#closed) throw new CommandError(exitCodes.interrupted, 'the cluster is being stopped')
    if (node.process !== undefined) throw new CommandError(exitCodes.usage, `${id} is running already`)
    await makeOwn(this.directory)
    const logPath = `${node.data}.log`
    const log = openSync(logPath, 'a')
    const settings: LocalNodeSettings = {
      temporary: this.temporary,
      server: {
        logLevel: 'warn',
        ...this.#options.settings,
        id,
        listen: node.address,
        http: node.http,
        data: node.data,
        members: this.nodes.map(({ id: member, address, http }) => ({ id: member, address, http })),
      },
    }
    const child = fork(ENTRY, [JSON.stringify(settings)], {
      stdio: ['ignore', log, log, 'ipc'],
      execArgv: [...process.execArgv, YOUNG_SPACE],
    })
    closeSync(log)
    node.process = child
    child.on('exit', (code, signal) => {
      if (node.process === child) node.process = undefined
      if (!this.#expected.has(child))
        this.#options.onLost?.(node, `${signal ?? `exit code ${code}`}; see ${logPath}`)
    })
    await this.#served(child, id, logPath)
  }

  #served(child: ChildProcess, id: string, logPath: string): Promise<void> {
    return new Promise((resolve, reject) => {
      let said: readonly string[] = []
      const timer = setTimeout(() => {
        reject(new CommandError(exitCodes.timedOut, `${id} did not start within ${START_MS / 1000} s`))
      }, START_MS)
      child.on('message', message => {
        const told = message as LocalNodeMessage
        if (told.kind === 'failed') said = told.lines
        else {
          clearTimeout(timer)
          resolve()
        }
      })
      child.once('exit', code => {
        clearTimeout(timer)
        this.#expected.add(child)
        const words = said.length > 0 ? said.join('\n') : lastLines(logPath)
        reject(new CommandError(exitCodes.unexpected, `${id} did not start (exit code ${code}):\n${words}`))
      })
    })
  }

  /** SIGKILL: no goodbye, as when the machine dies. Resolves when the process is gone. */
  kill(id: string): Promise<void> {
    return this.#end(this.node(id), 'SIGKILL')
  }

  /** Ends every node and removes what was temporary. May be called more than once. */
  async close(): Promise<void> {
    this.#closed = true
    // Temporary nodes have nothing worth an orderly stop.
    await Promise.all(this.nodes.map(node => this.#end(node, this.temporary ? 'SIGKILL' : 'SIGTERM')))
    if (this.temporary) await rm(this.directory, { recursive: true, force: true, maxRetries: 5 })
  }

  async #end(node: LocalNode, signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const child = node.process
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    this.#expected.add(child)
    const gone = new Promise<void>(resolve => child.once('exit', () => resolve()))
    child.kill(signal)
    const harder = setTimeout(() => child.kill('SIGKILL'), STOP_MS)
    await gone
    clearTimeout(harder)
  }
}

async function makeOwn(directory: string): Promise<void> {
  const { makeDirectory } = await import('@quorate/server')
  try {
    await makeDirectory(directory)
  } catch (cause) {
    throw new CommandError(
      exitCodes.usage,
      `the directory ${directory} cannot be made: ${(cause as Error).message}`,
      { done: 'Nothing was started.', next: 'quorate demo --data DIRECTORY, with one that can be made' },
    )
  }
}

/** Old data has old rows, whose new versions would be siblings, and members at other addresses. */
function refuseUsed(directory: string | undefined): void {
  if (directory === undefined || !existsSync(directory) || readdirSync(directory).length === 0) return
  throw new CommandError(exitCodes.usage, `the directory ${directory} is not empty`, {
    done: 'Nothing was started.',
    next: 'quorate demo --data DIRECTORY, with one that is empty or does not exist',
  })
}

async function adminPorts(wanted: number | undefined, count: number): Promise<number[]> {
  if (wanted === 0) return freePorts(count)
  if (wanted !== undefined && wanted + count - 1 > PORT_MAX)
    throw usageError(
      `--http-port ${wanted}: ${count} nodes need the ports up to ${wanted + count - 1}, but ports end at ${PORT_MAX}`,
    )
  const ports = await consecutivePorts(wanted ?? 7480, count)
  if (ports !== undefined) return ports
  if (wanted === undefined) return freePorts(count)
  throw new CommandError(
    exitCodes.usage,
    `the ports ${wanted}–${wanted + count - 1} are not all free on 127.0.0.1`,
    { next: 'quorate demo --http-port 0   (any free ports)' },
  )
}

function lastLines(path: string): string {
  try {
    return readFileSync(path, 'utf8').trimEnd().split('\n').slice(-5).join('\n')
  } catch {
    return `(nothing in ${path})`
  }
}
