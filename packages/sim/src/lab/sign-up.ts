/**
 * People who get a number each, and keep something under that number in a store of its own.
 *
 * The numbers are in `posts`, which has a leader; the private things are in `private`, which has none. The two know
 * nothing of each other: a number that the first one gives out again still means somebody else to the second.
 */

import { generatedId, increment, type QuorateClient, set, table } from '@quorate/client/pure'
import { type NodeName, posts } from './cast.ts'
import type { Setting } from './scenario.ts'
import type { Stage } from './stage.ts'

interface PrivateRow {
  number: string
  owner: string
}

const things = table<PrivateRow>('private', { key: 'number' })
/** The row that is counted up. */
const COUNTER = 'last-number'
const READY_MS = 20_000

export class SignUp {
  readonly #stage: Stage
  readonly #numbers: NonNullable<Setting['numbers']>
  readonly #numberOf = new Map<string, string>()

  constructor(stage: Stage, numbers: Setting['numbers'] = 'counted') {
    this.#stage = stage
    this.#numbers = numbers
  }

  /** Before the story begins. */
  async open(nodes: readonly NodeName[]): Promise<void> {
    const shape = { key: 'number', replication: { n: 3, w: 2, r: 2 }, conflict: { kind: 'lww' } }
    for (const node of nodes)
      await this.#stage.steered(node).createTable('private', shape, { timeoutMs: READY_MS })
  }

  /** Gets a number, through the app server of `node`. */
  async join(who: string, node: NodeName): Promise<void> {
    const { timeline } = this.#stage
    timeline.step(who, `signs up, through the app server of ${node}`)
    const number = await this.#draw(who, this.#stage.steered(node))
    this.#numberOf.set(who, number)
    timeline.step(who, `← has number ${number}`)
  }

  async #draw(who: string, client: QuorateClient): Promise<string> {
    const rows = client.table(posts)
    const key = this.#numbers === 'generated' ? who : COUNTER
    await rows.update(key, [
      this.#numbers === 'generated' ? set('version', generatedId()) : increment('version'),
    ])
    return String((await rows.get(key)).value?.version)
  }

  /** Keeps something private under the own number. */
  async keep(who: string, node: NodeName): Promise<void> {
    const number = this.#numberOf.get(who)!
    this.#stage.timeline.step(who, `keeps a letter under number ${number}, through the app server of ${node}`)
    await this.#stage.steered(node).table(things).put({ number, owner: who })
  }

  /** Looks what there is under the own number. */
  async look(who: string, node: NodeName): Promise<void> {
    const { timeline } = this.#stage
    const number = this.#numberOf.get(who)!
    timeline.step(who, `looks under number ${number}, through the app server of ${node}`)
    const { value } = await this.#stage.steered(node).table(things).get(number)
    const owner = value?.owner
    timeline.history.push({ kind: 'shown', who, number, owner, atMs: timeline.nowMs })
    timeline.step(who, owner === undefined ? '← nothing there yet' : `← is shown the letter of ${owner}`)
  }
}
