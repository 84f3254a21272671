// Nodes by `quorate start`, commands by `quorate …`, each a process of its own; ended by process id.
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { endChild, freePorts, keep } from '../processes.mjs'

const BIN = fileURLToPath(new URL('../../packages/cli/dist/bin.js', import.meta.url))

/** A command to its end. */
export function command(args, onStart = () => undefined) {
  return new Promise((resolve, reject) => {
    const child = keep(
      spawn(process.execPath, [BIN, ...args], {
        env: { ...process.env, NO_COLOR: '1' },
        stdio: ['ignore', 'pipe', 'pipe'],
      }),
    )
    onStart(child)
    let [stdout, stderr] = ['', '']
    child.stdout.on('data', chunk => {
      stdout += chunk
    })
    child.stderr.on('data', chunk => {
      stderr += chunk
    })
    child.on('error', reject)
    child.on('close', code => resolve({ code, stdout, stderr }))
  })
}

/** Asks again until it is so. */
export async function until(what, isSo, tries = 6_000) {
  let last
  for (let i = 0; i < tries; i++) {
    try {
      if (await isSo()) return
    } catch (error) {
      last = error
    }
    await pause(50)
  }
  throw new Error(`never so: ${what}`, { cause: last })
}

/** Of the same place in the list: three zones, so that three copies are one in each. */
const zoneOf = index => `z${1 + (index % 3)}`

export class GrowingCluster {
  nodes = []
  #directory

  constructor(directory) {
    this.#directory = directory
  }

  async start(count) {
    const ports = await freePorts(2 * count)
    this.nodes = Array.from({ length: count }, (_, i) =>
      this.#node(`n${i + 1}`, ports[2 * i], ports[2 * i + 1], zoneOf(i)),
    )
    const members = this.nodes.flatMap(({ id, address, http, zone }) => [
      '--member',
      `id=${id},address=${address},http=${http},zone=${zone}`,
    ])
    for (const node of this.nodes) {
      node.more = members
      this.launch(node)
    }
    await this.ready()
  }

  #node(id, port, admin, zone) {
    const data = join(this.#directory, `${id}-${port}`)
    return { id, address: `127.0.0.1:${port}`, http: `127.0.0.1:${admin}`, zone, data, child: undefined }
  }

  /** Nodes that join, up to so many; waits until they may be planned for. */
  async join(count) {
    const newcomers = []
    for (let i = this.nodes.length; i < count; i++) {
      const [port, admin] = await freePorts(2)
      const node = this.#node(`n${i + 1}`, port, admin, zoneOf(i))
      node.more = ['--join', this.nodes[0].address, '--zone', node.zone]
      this.nodes.push(node)
      newcomers.push(node.id)
      this.launch(node)
    }
    await until('the newcomers wait to join', async () => {
      const { items } = await this.json(['cluster', 'status'])
      return newcomers.every(id => items.some(item => item.id === id && item.state === 'staged'))
    })
    await this.ready()
    return newcomers
  }

  launch(node) {
    const { id, address, http, data, more } = node
    const own = ['--id', id, '--listen', address, '--http', http, '--data', data, '--log-level', 'error']
    const profile = process.env.BENCH_PROFILE
    const profiling = profile ? ['--cpu-prof', `--cpu-prof-dir=${profile}`] : []
    const child = keep(
      spawn(process.execPath, [...profiling, BIN, 'start', ...own, ...more], {
        env: { ...process.env, NODE_OPTIONS: '--max-semi-space-size=32' },
        stdio: ['ignore', 'ignore', 'pipe'],
      }),
    )
    node.errors = ''
    child.stderr.on('data', chunk => {
      node.errors = (node.errors + chunk).slice(-4_000)
    })
    node.child = child
    child.on('exit', () => {
      if (node.child === child) node.child = undefined
    })
  }

  running() {
    return this.nodes.filter(({ child }) => child !== undefined)
  }

  /** Until every running node says that it is ready. */
  async ready() {
    await until('the nodes are ready', async () => {
      const { items } = await this.json(['status'])
      return this.running().every(({ id }) => items.some(item => item.node === id && item.state === 'ready'))
    })
  }

  async kill(node) {
    const { child } = node
    if (child === undefined) return
    const gone = new Promise(resolve => child.once('exit', resolve))
    child.kill('SIGKILL')
    await gone
  }

  get url() {
    return `quorate://${this.nodes.map(({ address }) => address).join(',')}`
  }

  /** A command against this cluster, through a node that runs. */
  command(args, onStart) {
    return command([...args, '--http', this.running()[0].http], onStart)
  }

  async json(args) {
    const result = await this.command([...args, '--json'])
    try {
      return { ...result, ...JSON.parse(result.stdout) }
    } catch (cause) {
      throw new Error(`no JSON from quorate ${args.join(' ')}: ${result.stdout}${result.stderr}`, { cause })
    }
  }

  /** A command that must succeed. */
  async must(args) {
    const result = await this.command(args)
    if (result.code !== 0)
      throw new Error(`quorate ${args.join(' ')} ended with ${result.code}: ${result.stdout}${result.stderr}`)
    return result
  }

  async forget(id) {
    const node = this.nodes.find(one => one.id === id)
    if (node.child !== undefined) await endChild(node.child)
    this.nodes = this.nodes.filter(one => one !== node)
  }

  async close() {
    await Promise.all(this.running().map(({ child }) => endChild(child)))
  }
}
