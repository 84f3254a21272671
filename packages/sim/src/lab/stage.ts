/**
 * The stage of a scenario: the production node and client in virtual time, and hands to act with.
 *
 * An *app server* is a client that sends to one node as long as that answers; people reach the database
 * through app servers. So a story can say which replica a request meets, without touching the network.
 */

import { missing, type QuorateClient, random, Session, set } from '@quorate/client/pure'
import { defaultTuning, isQuorateError, pause, type QuorateError } from '@quorate/core'
import { SimCluster } from '../world/sim-cluster.ts'
import type { Simulation } from '../world/simulation.ts'
import { appOf, type NodeName, posts, THREE_NODES } from './cast.ts'
import { DELETED } from './checkers.ts'
import type { Setting } from './scenario.ts'
import { Timeline } from './timeline.ts'
import { Trouble } from './trouble.ts'

const READY_MS = 20_000
/** News is everywhere by then: several rounds of gossip. */
const GOSSIP_MS = 5_000
/** People wait so long, and then give up. */
const PATIENCE_MS = 3_000

/** Of tables with a leader: one leads everything, so that a story has one leader. */
const ONE_LOG = { partitioning: { kind: 'fixed', partitions: 1 } }

const WORDS: Partial<Record<QuorateError['code'], string>> = {
  SESSION_ROLLED_BACK: 'something that this session had seen has been undone',
  NOT_LEADER: 'whoever led is not sure to lead any more',
  UNREACHABLE: 'nobody answers who could do it',
}

const inWords = ({ code }: QuorateError): string =>
  WORDS[code] === undefined ? code : `${WORDS[code]} (${code})`

export class Stage {
  readonly cluster: SimCluster
  readonly timeline: Timeline
  readonly #setting: Setting
  readonly #apps = new Map<NodeName, QuorateClient>()
  /** By person. */
  readonly #sessions = new Map<string, Session>()

  /** Of those who follow the changes: how far. */
  readonly #places = new Map<string, string>()
  readonly trouble: Trouble
  readonly #nodes: readonly NodeName[]

  constructor(simulation: Simulation, setting: Setting, nodes: readonly NodeName[] = THREE_NODES) {
    this.#nodes = nodes
    this.cluster = new SimCluster(simulation, {
      nodes: nodes.length,
      zones: nodes.length,
      tuning: defaultTuning,
      storeLimits: {},
    })
    this.timeline = new Timeline(() => simulation.nowMs)
    this.#setting = setting
    this.cluster.start()
    for (const node of nodes) this.#apps.set(node, this.cluster.newClient(appOf(node)).client)
    this.trouble = new Trouble(this)
  }

  /** Table and clients are ready, and the story begins. */
  async open(): Promise<void> {
    for (const client of this.#apps.values()) await client.ready({ timeoutMs: READY_MS })
    const { replication = {}, conflict = 'lww' } = this.#setting
    const isLed = replication.kind === 'single-leader'
    const shape = { key: 'key', replication, ...(isLed ? ONE_LOG : { conflict: { kind: conflict } }) }
    for (const client of this.#apps.values())
      await client.createTable('posts', shape, { timeoutMs: READY_MS })
    this.timeline.begin()
  }

  /** The story begins when every node has heard of the table: for stories in which one is cut off at once. */
  async known(): Promise<void> {
    await this.pause(GOSSIP_MS)
    this.timeline.begin()
  }

  /** From now on what `from` sends to `to` takes `ms` longer. */
  lag(from: NodeName, to: NodeName, ms: number): void {
    this.cluster.network.slow(`${from}`, `${to}`, ms)
  }

  pause(ms: number): Promise<void> {
    return pause(this.#app('n1').clock, ms)
  }

  /** A person writes through the app server of `node`; `ifFree`: unless there is such a row already. */
  async write(who: string, node: NodeName, key: string, version: number, ifFree = false): Promise<void> {
    const { timeline } = this
    const client = this.steered(node)
    const callMs = timeline.nowMs
    const event = { kind: 'write' as const, who, key, version, callMs }
    timeline.step(who, `writes ${key} (version ${version}), through the app server of ${node}`)
    const options = {
      w: this.#setting.w,
      session: this.#sessionOf(who),
      timeoutMs: PATIENCE_MS,
      ...(ifFree ? { if: missing() } : {}),
    }
    try {
      const { receipt, applied } = await client.table(posts).put({ key, version }, options)
      if (!applied) {
        timeline.history.push({ ...event, returnMs: timeline.nowMs, outcome: 'refused' })
        timeline.step(who, '← not stored: it is taken')
        return
      }
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
        `← ${outcome === 'refused' ? 'not stored' : 'unknown whether stored'}: ${inWords(error)}`,
      )
    }
  }

  /** A person deletes a row, through the app server of `node`. */
  async remove(who: string, node: NodeName, key: string): Promise<void> {
    const { timeline } = this
    const callMs = timeline.nowMs
    timeline.step(who, `deletes ${key}, through the app server of ${node}`)
    await this.steered(node).table(posts).delete(key, { w: this.#setting.w, timeoutMs: PATIENCE_MS })
    const event = { kind: 'write' as const, who, key, version: DELETED, callMs }
    timeline.history.push({ ...event, returnMs: timeline.nowMs, outcome: 'acknowledged' })
    timeline.step(who, '← deleted')
  }

  /** A person has a number drawn, by the statement that writes it. */
  async draw(who: string, node: NodeName, key: string): Promise<void> {
    const { timeline } = this
    timeline.step(who, `sets ${key} to random(), through the app server of ${node}`)
    const { receipt } = await this.steered(node)
      .table(posts)
      .update(key, [set('version', random())])
    timeline.step(who, `← stored: ${receipt.log?.leader} leads and has told its followers`)
  }

  /** A person reads through the app server of `node`. The version; undefined: nothing there; `unanswered`: who knows. */
  async read(who: string, node: NodeName, key: string): Promise<number | 'unanswered' | undefined> {
    const { timeline } = this
    const client = this.steered(node)
    const callMs = timeline.nowMs
    timeline.step(who, `reads ${key}, through the app server of ${node}`)
    try {
      const { value, siblings, receipt } = await client
        .table(posts)
        .get(key, { ...this.#readOptions(), session: this.#sessionOf(who), timeoutMs: PATIENCE_MS })
      // Of several that stand beside each other, a reader has the newest, too.
      const version = value?.version ?? siblings.map(one => one.version).sort((a, b) => b - a)[0]
      timeline.history.push({ kind: 'read', who, key, version, callMs, returnMs: timeline.nowMs })
      const nodes = receipt.answered.map(answer => answer.node).sort()
      const found = version === undefined ? 'nothing there' : `version ${version}`
      timeline.step(who, `← ${found} (asked: ${nodes.join(', ')})`)
      return version
    } catch (error) {
      if (!isQuorateError(error)) throw error
      timeline.step(who, `← no answer: ${inWords(error)}`)
      return 'unanswered'
    }
  }

  /** `who` follows the feed of changes, from where it was before, until it hears of `key`. */
  async followChanges(who: string, key: string): Promise<void> {
    const { timeline } = this
    const from = this.#places.get(who) ?? 'start'
    const told: string[] = []
    for await (const event of this.steered(this.trouble.leader() ?? 'n1')
      .table(posts)
      .changes({ from })) {
      this.#places.set(who, event.resume)
      if (event.kind === 'truncated') told.push(`“undo what you heard behind entry ${event.position}”`)
      else told.push(String(event.key[0]))
      if (event.kind === 'change' && event.key[0] === key) break
    }
    timeline.step(who, `follows the changes, and hears: ${told.join(', ')}`)
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
  steered(node: NodeName): QuorateClient {
    const client = this.#app(node)
    for (const other of this.#nodes) if (other !== node) client.router.failed(other)
    return client
  }

  #app(node: NodeName): QuorateClient {
    return this.#apps.get(node)!
  }
}
