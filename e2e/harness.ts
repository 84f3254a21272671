/**
 * Real processes for tests: nodes by `quorate start`, commands by `quorate …`. Every process started here is
 * ended by its id, every directory removed. Ports come from below the range of outgoing connections.
 */

import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

export const BIN = fileURLToPath(new URL('../packages/cli/dist/bin.js', import.meta.url))
const COMMAND_MS = 120_000

/** What a test that ran out of time could not end is ended with the process of the tests. */
const started = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of started) child.kill('SIGKILL')
})

export function keep<Child extends ChildProcess>(child: Child): Child {
  started.add(child)
  child.once('exit', () => started.delete(child))
  return child
}

export interface CommandResult {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface NodeProcess {
  readonly id: string
  readonly address: string
  readonly http: string
  readonly data: string
  /** Arguments of a node that joins; undefined for the initial members. */
  readonly joining: readonly string[] | undefined
  child: ChildProcess | undefined
  output: string
}

function isFree(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const probe = createServer()
    probe.once('error', () => resolve(false))
    probe.listen({ host: '127.0.0.1', port, exclusive: true }, () => probe.close(() => resolve(true)))
  })
}

export async function freePorts(count: number): Promise<number[]> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const first = 17_000 + Math.floor(Math.random() * (31_000 - 17_000 - count))
    const ports = Array.from({ length: count }, (_, i) => first + i)
    const free = await Promise.all(ports.map(isFree))
    if (free.every(Boolean)) return ports
  }
  throw new Error('no free ports')
}

/** A command to its end. `input` goes to stdin. */
export function quorate(
  args: readonly string[],
  options: {
    env?: Record<string, string>
    input?: string
    timeoutMs?: number
    wrap?: readonly string[]
    onStart?: (child: ChildProcess) => void
  } = {},
): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const [command, ...rest] = [...(options.wrap ?? []), process.execPath, BIN, ...args]
    const child = keep(
      spawn(command!, rest, {
        env: { ...process.env, NO_COLOR: '1', ...options.env },
        stdio: ['pipe', 'pipe', 'pipe'],
      }),
    )
    options.onStart?.(child)
    let stdout = ''
    let stderr = ''
    child.stdout.on('data', chunk => {
      stdout += chunk
    })
    child.stderr.on('data', chunk => {
      stderr += chunk
    })
    const timer = setTimeout(() => child.kill('SIGKILL'), options.timeoutMs ?? COMMAND_MS)
    child.on('error', reject)
    child.on('close', code => {
      clearTimeout(timer)
      resolve({ code, stdout, stderr })
    })
    child.stdin.on('error', () => undefined)
    child.stdin.end(options.input ?? '')
  })
}

/** Asks again until it is so; the bound is generous because machines differ, not because anything waits for it. */
export async function until(what: string, isSo: () => Promise<boolean>, rounds = 600): Promise<void> {
  let last: unknown
  for (let round = 0; round < rounds; round++) {
    try {
      if (await isSo()) return
    } catch (error) {
      last = error
    }
    await pause(100)
  }
  throw new Error(`never so: ${what}`, { cause: last })
}

export interface Placement {
  /** Put before every command: a network namespace, for example. */
  readonly wrap: readonly string[]
  /** Put before the i-th node as well. */
  readonly wrapNode?: (index: number) => readonly string[]
  /** Address of the i-th node. */
  readonly host: (index: number) => string
}

const HERE: Placement = { wrap: [], host: () => '127.0.0.1' }

export class TestNodes {
  readonly directory = mkdtempSync(join(tmpdir(), 'quorate-e2e-'))
  readonly nodes: NodeProcess[] = []
  readonly #extra: readonly string[]
  readonly #placement: Placement

  private constructor(extra: readonly string[], placement: Placement) {
    this.#extra = extra
    this.#placement = placement
  }

  static async start(
    count: number,
    extra: readonly string[] = [],
    placement: Placement = HERE,
  ): Promise<TestNodes> {
    const own = new TestNodes(extra, placement)
    const ports = await freePorts(count * 2)
    for (let i = 0; i < count; i++) {
      const id = `n${i + 1}`
      own.nodes.push({
        id,
        address: `${placement.host(i)}:${ports[i]}`,
        http: `127.0.0.1:${ports[count + i]}`,
        data: join(own.directory, id),
        joining: undefined,
        child: undefined,
        output: '',
      })
    }
    for (const node of own.nodes) own.launch(node.id)
    await own.ready()
    return own
  }

  node(id: string): NodeProcess {
    const found = this.nodes.find(node => node.id === id)
    if (found === undefined) throw new Error(`no node ${id}`)
    return found
  }

  get connectString(): string {
    return `quorate://${this.nodes.map(node => node.address).join(',')}`
  }

  startArguments(id: string): string[] {
    const node = this.node(id)
    const members =
      node.joining ??
      this.nodes
        .filter(({ joining }) => joining === undefined)
        .flatMap(member => [
          '--member',
          `id=${member.id},address=${member.address},http=${member.http},zone=${member.id}`,
        ])
    const own = ['--id', id, '--listen', node.address, '--http', node.http, '--data', node.data]
    return ['start', ...own, ...members, '--log-level', 'error', ...this.#extra]
  }

  /** Another node, not started: it joins this cluster through the first node. */
  async newcomer(id: string, more: readonly string[]): Promise<NodeProcess> {
    const [port, admin] = await freePorts(2)
    const node: NodeProcess = {
      id,
      address: `127.0.0.1:${port}`,
      http: `127.0.0.1:${admin}`,
      // Not the id alone: a test may start another node with the id of one that is there.
      data: join(this.directory, `${id}-${port}`),
      joining: ['--join', this.nodes[0]!.address, ...more],
      child: undefined,
      output: '',
    }
    this.nodes.push(node)
    return node
  }

  launch(id: string, more: readonly string[] = []): NodeProcess {
    const node = this.node(id)
    const { wrap, wrapNode } = this.#placement
    const [command, ...args] = [
      ...wrap,
      ...(wrapNode?.(this.nodes.indexOf(node)) ?? []),
      process.execPath,
      BIN,
      ...this.startArguments(id),
      ...more,
    ]
    const child = keep(spawn(command!, args, { stdio: ['ignore', 'pipe', 'pipe'] }))
    node.output = ''
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', chunk => {
        node.output += chunk
      })
    node.child = child
    child.on('exit', () => {
      if (node.child === child) node.child = undefined
    })
    return node
  }

  /** Until every running node says that it is ready. */
  async ready(): Promise<void> {
    const running = this.nodes.filter(({ child }) => child !== undefined).map(({ id }) => id)
    await until(`${running.join(', ')} are ready`, async () => {
      const { items } = await this.json<{ node: string; state: string }>(['status'])
      return running.every(id => items.some(item => item.node === id && item.state === 'ready'))
    })
  }

  async end(id: string, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const { child } = this.node(id)
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const gone = new Promise(resolve => child.once('exit', resolve))
    child.kill(signal)
    await gone
  }

  /** A command against this cluster, through any node but one that does not answer. */
  command(args: readonly string[], input?: string, silent?: string): Promise<CommandResult> {
    const alive = this.nodes.find(({ id, child }) => child !== undefined && id !== silent) ?? this.nodes[0]!
    const { wrap } = this.#placement
    return quorate([...args, '--http', alive.http], input === undefined ? { wrap } : { wrap, input })
  }

  async json<T = Record<string, unknown>>(
    args: readonly string[],
    input?: string,
    silent?: string,
  ): Promise<CommandResult & { kind: string; items: T[]; warnings: string[]; partial: boolean }> {
    const result = await this.command([...args, '--json'], input, silent)
    try {
      return { ...result, ...JSON.parse(result.stdout) }
    } catch (cause) {
      throw new Error(`no JSON from quorate ${args.join(' ')}: ${result.stdout}${result.stderr}`, { cause })
    }
  }

  async close(beforeRemoval: () => void = () => {}): Promise<void> {
    await Promise.all(this.nodes.map(node => this.end(node.id)))
    beforeRemoval()
    rmSync(this.directory, { recursive: true, force: true, maxRetries: 5 })
  }
}
