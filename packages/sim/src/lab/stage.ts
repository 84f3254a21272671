/**
 * The stage of a scenario: the production node and client in virtual time, and hands to act with.
 *
 * An *app server* is a client that sends to one node as long as that answers; people reach the database
 * through app servers. So a story can say which replica a request meets, without touching the network.
 */

import { type QuorateClient, random, Session, set, table } from '@quorate/client/pure'
import { defaultTuning, isQuorateError, pause } from '@quorate/core'
import { SimCluster } from '../world/sim-cluster.ts'
import type { Simulation } from '../world/simulation.ts'
import type { Setting } from './scenario.ts'
import { Timeline } from './timeline.ts'

interface PostRow {
  key: string
  version: number
}

const posts = table<PostRow>('posts', { key: 'key' })
const NODES = ['n1', 'n2', 'n3'] as const
export type NodeName = (typeof NODES)[number]

const READY_MS = 20_000

export class Stage {
  readonly cluster: SimCluster
  readonly timeline: Timeline
  readonly #setting: Setting
  readonly #apps = new Map<NodeName, QuorateClient>()
  /** By person. */
  readonly #sessions = new Map<string, Session>()

  constructor(simulation: Simulation, setting: Setting) {
    this.cluster = new SimCluster(simulation, {
      nodes: NODES.length,
      zones: NODES.length,
      tuning: defaultTuning,
      storeLimits: {},
    })
    this.timeline = new Timeline(() => simulation.nowMs)
    this.#setting = setting
    this.cluster.start()
    for (const node of NODES) this.#apps.set(node, this.cluster.newClient(`app-${node}`).client)
  }

  /** Table and clients are ready, and the story begins. */
  async open(): Promise<void> {
    for (const client of this.#apps.values()) await client.ready({ timeoutMs: READY_MS })
    const { replication = {} } = this.#setting
    const isLed = replication.kind === 'single-leader'
    const shape = { key: 'key', replication, ...(isLed ? {} : { conflict: { kind: 'lww' } }) }
    for (const client of this.#apps.values())
      await client.createTable('posts', shape, { timeoutMs: READY_MS })
    this.timeline.begin()
  }

  /** From now on what `from` sends to `to` takes `ms` longer. */
  lag(from: NodeName, to: NodeName, ms: number): void {
    this.cluster.network.slow(`${from}`, `${to}`, ms)
  }

  pause(ms: number): Promise<void> {
    return pause(this.#app('n1').clock, ms)
  }

  /** A person writes through the app server of `node`. */
  async write(who: string, node: NodeName, key: string, version: number): Promise<void> {
    const { timeline } = this
    const client = this.#steered(node)
    const callMs = timeline.nowMs
    const event = { kind: 'write' as const, who, key, version, callMs }
    timeline.step(who, `writes ${key} (version ${version}), through the app server of ${node}`)
    try {
      const { receipt } = await client
        .table(posts)
        .put({ key, version }, { w: this.#setting.w, session: this.#sessionOf(who) })
      timeline.history.push({ ...event, returnMs: timeline.nowMs, outcome: 'acknowledged' })
      const took = (timeline.nowMs - callMs).toFixed(1)
      const nodes = receipt.answered.map(answer => answer.node).sort()
      timeline.step(who, `← stored, after ${took} ms: on ${nodes.join(', ')}`)
    } catch (error) {
      if (!isQuorateError(error)) throw error
      const outcome = error.outcome === 'not-applied' ? 'refused' : 'unknown'
      timeline.history.push({ ...event, returnMs: timeline.nowMs, outcome })
      timeline.step(
        who,
        `← ${outcome === 'refused' ? 'not stored' : 'unknown whether stored'}: ${error.code}`,
      )
    }
  }

  /** A person has a number drawn, by the statement that writes it. */
  async draw(who: string, node: NodeName, key: string): Promise<void> {
    const { timeline } = this
    timeline.step(who, `sets ${key} to random(), through the app server of ${node}`)
    const { receipt } = await this.#steered(node)
      .table(posts)
      .update(key, [set('version', random())])
    timeline.step(who, `← stored: ${receipt.log?.leader} leads and has told its followers`)
  }

  /** A person reads through the app server of `node`. */
  async read(who: string, node: NodeName, key: string): Promise<void> {
    const { timeline } = this
    const client = this.#steered(node)
    const callMs = timeline.nowMs
    timeline.step(who, `reads ${key}, through the app server of ${node}`)
    try {
      const { value, receipt } = await client
        .table(posts)
        .get(key, { ...this.#readOptions(), session: this.#sessionOf(who) })
      const version = value?.version
      timeline.history.push({ kind: 'read', who, key, version, callMs, returnMs: timeline.nowMs })
      const nodes = receipt.answered.map(answer => answer.node).sort()
      const found = version === undefined ? 'nothing there' : `version ${version}`
      timeline.step(who, `← ${found} (asked: ${nodes.join(', ')})`)
    } catch (error) {
      if (!isQuorateError(error)) throw error
      timeline.step(who, `← no answer: ${error.code}`)
    }
  }

  #sessionOf(who: string): Session | undefined {
    if (this.#setting.session !== true) return undefined
    const session = this.#sessions.get(who) ?? new Session()
    this.#sessions.set(who, session)
    return session
  }

  #readOptions() {
    const { r, read } = this.#setting
    return { ...(r === undefined ? {} : { r }), ...(read === undefined ? {} : { read }) }
  }

  /** The client of `node`'s app server; it prefers that node for its next request. */
  #steered(node: NodeName): QuorateClient {
    const client = this.#app(node)
    for (const other of NODES) if (other !== node) client.router.failed(other)
    return client
  }

  #app(node: NodeName): QuorateClient {
    return this.#apps.get(node)!
  }
}
