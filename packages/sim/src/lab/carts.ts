/**
 * People who share a shopping cart: they put things in and take things out, by what they have been shown, and look.
 *
 * Under `crdt` they say what they do (add, remove); under any other rule they read the cart, change it, and write it back
 * with the context of what they read, as applications do.
 */

import { crdt, orSet, type QuorateClient, table } from '@quorate/client/pure'
import { isQuorateError } from '@quorate/core'
import type { NodeName } from './cast.ts'
import type { Setting } from './scenario.ts'
import type { Stage } from './stage.ts'

interface CartRow {
  key: string
  items: string[]
}

const plainCarts = table<CartRow>('carts', { key: 'key' })
const mergingCarts = table('carts', { key: 'key', fields: { items: orSet<string>() } })
const CART = 'cart'
const READY_MS = 20_000
const PATIENCE_MS = 3_000

/** What somebody was shown, to change it later. */
export interface SeenCart {
  readonly items: readonly string[]
  readonly context: Uint8Array
}

export class Carts {
  readonly #stage: Stage
  readonly #setting: Setting

  constructor(stage: Stage, setting: Setting) {
    this.#stage = stage
    this.#setting = setting
  }

  /** Before the story begins. */
  async open(nodes: readonly NodeName[]): Promise<void> {
    const { replication = {} } = this.#setting
    const conflict = this.#isMerging ? crdt(mergingCarts) : { kind: this.#setting.cart ?? 'siblings' }
    for (const node of nodes)
      await this.#client(node).createTable(
        'carts',
        { key: 'key', replication, conflict },
        { timeoutMs: READY_MS },
      )
  }

  get #isMerging(): boolean {
    return this.#setting.cart === 'crdt'
  }

  #client(node: NodeName): QuorateClient {
    return this.#stage.steered(node)
  }

  /** What is in the cart, to be changed later; nothing is told. */
  async see(node: NodeName): Promise<SeenCart> {
    const options = { r: this.#setting.r, timeoutMs: PATIENCE_MS }
    if (this.#isMerging) {
      const { value, context } = await this.#client(node).table(mergingCarts).get(CART, options)
      return { items: [...(value?.items ?? [])], context }
    }
    const { siblings, context } = await this.#client(node).table(plainCarts).get(CART, options)
    return { items: [...new Set(siblings.flatMap(({ items }) => items))].sort(), context }
  }

  async putIn(who: string, node: NodeName, item: string, seen?: SeenCart): Promise<void> {
    await this.#change(who, node, 'puts in', item, seen, items => [...new Set([...items, item])].sort())
  }

  async takeOut(who: string, node: NodeName, item: string, seen?: SeenCart): Promise<void> {
    await this.#change(who, node, 'takes out', item, seen, items => items.filter(one => one !== item))
  }

  async #change(
    who: string,
    node: NodeName,
    deed: 'puts in' | 'takes out',
    item: string,
    before: SeenCart | undefined,
    change: (items: readonly string[]) => string[],
  ): Promise<void> {
    const { timeline } = this.#stage
    timeline.step(who, `${deed} ${item}, through the app server of ${node}`)
    const callMs = timeline.nowMs
    try {
      const seen = before ?? (await this.see(node))
      const options = { w: this.#setting.w, context: seen.context, timeoutMs: PATIENCE_MS }
      if (this.#isMerging)
        await this.#client(node)
          .table(mergingCarts)
          .apply(CART, ({ items }) => (deed === 'puts in' ? items.add(item) : items.remove(item)), options)
      else
        await this.#client(node)
          .table(plainCarts)
          .put({ key: CART, items: change(seen.items) }, options)
      timeline.history.push({ kind: 'cart-change', who, deed, item, callMs, returnMs: timeline.nowMs })
      timeline.step(who, '← done')
    } catch (error) {
      if (!isQuorateError(error)) throw error
      timeline.step(who, `← not done: ${error.code}`)
    }
  }

  /** What everybody is shown at the end. */
  async look(who: string, node: NodeName): Promise<void> {
    const { timeline } = this.#stage
    timeline.step(who, `looks into the cart, through the app server of ${node}`)
    const { items } = await this.see(node)
    timeline.history.push({ kind: 'cart', items })
    timeline.step(who, `← ${items.length === 0 ? 'it is empty' : items.join(', ')}`)
  }
}
