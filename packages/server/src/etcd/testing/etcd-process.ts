/**
 * A real etcd for tests: own directory, free ports, no syncs. Started and ended by its process id.
 */

import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Why tests with etcd cannot run here; undefined: they can. */
export function etcdMissing(): string | undefined {
  const found = spawnSync('etcd', ['--version'], { encoding: 'utf8' })
  return found.error === undefined && found.status === 0
    ? undefined
    : 'no etcd is installed (Debian: apt-get install etcd-server)'
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}

const START_MS = 20_000

export class EtcdProcess {
  readonly endpoint: string
  readonly #arguments: readonly string[]
  readonly #directory: string
  #child: ChildProcess | undefined

  private constructor(endpoint: string, peer: string, directory: string) {
    this.endpoint = endpoint
    this.#directory = directory
    this.#arguments = [
      ['--data-dir', join(directory, 'data')],
      ['--listen-client-urls', endpoint],
      ['--advertise-client-urls', endpoint],
      ['--listen-peer-urls', peer],
      ['--initial-advertise-peer-urls', peer],
      ['--initial-cluster', `default=${peer}`],
      ['--unsafe-no-fsync'],
    ].flat()
  }

  static async start(): Promise<EtcdProcess> {
    const directory = await mkdtemp(join(tmpdir(), 'quorate-etcd-'))
    const [client, peer] = [await freePort(), await freePort()]
    const etcd = new EtcdProcess(`http://127.0.0.1:${client}`, `http://127.0.0.1:${peer}`, directory)
    await etcd.restart()
    return etcd
  }

  /** Resolves when it answers. */
  async restart(): Promise<void> {
    const child = spawn('etcd', [...this.#arguments], { stdio: 'ignore' })
    this.#child = child
    const lastMs = performance.now() + START_MS
    while (performance.now() < lastMs) {
      if (child.exitCode !== null) throw new Error(`etcd ended with ${child.exitCode}`)
      const healthy = await fetch(`${this.endpoint}/health`).then(
        async response => (await response.text()).includes('true'),
        () => false,
      )
      if (healthy) return
      await new Promise(resolve => setTimeout(resolve, 20))
    }
    throw new Error('etcd did not start in time')
  }

  async kill(): Promise<void> {
    const child = this.#child
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
  }

  /** Stops it as a hanging machine would: connections stay, nothing is answered. */
  pause(): void {
    this.#child?.kill('SIGSTOP')
  }

  resume(): void {
    this.#child?.kill('SIGCONT')
  }

  async end(): Promise<void> {
    this.resume()
    await this.kill()
    await rm(this.#directory, { recursive: true, force: true })
  }
}
