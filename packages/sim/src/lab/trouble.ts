/**
 * What happens to machines and cables in a story, and what its operator does about it: each told on the timeline.
 *
 * At the end of a story `healAndLook` mends everything, waits until all replicas are equal, and writes into the history
 * what there is: the rows, and the ledger of every node. That is what the checkers of lost writes judge by.
 */

import { decodeDocument, type Node, QuorateError, type Stamp } from '@quorate/core'
import { ledDifferences } from '../checkers/logs.ts'
import type { SimMachine } from '../world/sim-machine.ts'
import { appOf, type NodeName, posts } from './cast.ts'
import type { Stage } from './stage.ts'
import type { LabFinal, LabRow } from './timeline.ts'

const LOOK_MS = 50
/** What takes longer does not come, and the story cannot be told. */
const WAIT_MAX_MS = 120_000
const LEDGER_MAX = 1_000

export class Trouble {
  readonly #stage: Stage

  constructor(stage: Stage) {
    this.#stage = stage
  }

  /** Who leads, as those say who do: of two, of whom one has not heard yet, the later elected; undefined: nobody. */
  leader(): NodeName | undefined {
    const leading = this.#seats().flatMap(({ node, held: { seat } }) =>
      seat.leading?.isServing === true ? [{ id: node.config.id, epoch: seat.leading.epoch }] : [],
    )
    return leading.sort((a, b) => b.epoch - a.epoch)[0]?.id as NodeName | undefined
  }

  #seats() {
    return this.#stage.cluster.machines.flatMap(({ node }) =>
      (node?.leaders.partitions.held() ?? []).map(held => ({ node: node!, held })),
    )
  }

  /** Before the story begins: the lead is handed over to `node`, if another has it. */
  async leadFrom(node: NodeName): Promise<void> {
    await this.#until(`somebody leads`, () => this.leader() !== undefined)
    const from = this.leader()!
    if (from !== node) {
      const held = this.#node(from).leaders.partitions.held()[0]!
      await this.#node(from).leaders.handOver.run(held, held.seat.leading!, this.#node(node).config.id)
      await this.#until(`${node} leads`, () => this.leader() === node)
    }
    await this.#until('all are equal', () => ledDifferences(this.#stage.cluster).length === 0)
    this.#stage.timeline.begin()
    this.tell(`${node} leads: writes go to it, and it passes them on to the others`)
  }

  /** All replicas have everything that the leader has. */
  async evened(): Promise<void> {
    await this.#until('the followers have it', () => ledDifferences(this.#stage.cluster).length === 0)
  }

  /** Nothing passes between the two sides; app servers are on the side of their node when `withApps`. */
  cut(left: readonly NodeName[], right: readonly NodeName[], withApps: boolean, words: string): void {
    const { network } = this.#stage.cluster
    const side = (nodes: readonly NodeName[]) => [...nodes, ...(withApps ? nodes.map(appOf) : [])]
    for (const one of side(left))
      for (const other of side(right)) {
        network.cut(one, other)
        network.cut(other, one)
      }
    this.tell(words)
  }

  heal(words: string): void {
    this.#stage.cluster.network.healAll()
    this.tell(words)
  }

  powerCut(node: NodeName, words: string): void {
    this.#machine(node).crash('power cut')
    this.tell(words)
  }

  async start(node: NodeName, words: string): Promise<void> {
    this.tell(words)
    this.#machine(node).start()
    await this.#until(`${node} is up`, () => this.#machine(node).node !== undefined)
  }

  jumpClock(node: NodeName, byMs: number): void {
    this.#machine(node).time.jumpWall(byMs)
  }

  /** The process stands still (its machine is suspended), knows nothing of it, and goes on afterwards. */
  suspend(node: NodeName, words: string): void {
    this.#machine(node).time.pause()
    this.tell(words)
  }

  resume(node: NodeName, words: string): void {
    this.#machine(node).time.resume()
    this.tell(words)
  }

  /** An operator at `node` has the cluster say what an unclean election would cost, and pays it. */
  async electUncleanly(node: NodeName): Promise<void> {
    const { timeline } = this.#stage
    const { unclean } = this.#node(node).leaders
    timeline.step('operator', `asks ${node}: who could lead now, and what would be lost?`)
    let plan = await unclean.plan('posts')
    const endMs = timeline.nowMs + WAIT_MAX_MS
    while (plan.items.length === 0 && timeline.nowMs < endMs) {
      await this.#stage.pause(500)
      plan = await unclean.plan('posts')
    }
    const item = plan.items[0]
    if (item === undefined) throw new QuorateError('INTERNAL', 'no unclean election is possible')
    timeline.step(node, `← ${item.words}.`)
    timeline.step('operator', 'agrees to that')
    await unclean.commit('posts', plan.id)
    await this.#until('the heir leads', () =>
      this.#seats().some(
        ({ node: one, held }) =>
          one.config.id === item.to &&
          held.seat.leading?.isServing === true &&
          held.seat.leading.epoch > item.epoch,
      ),
    )
    this.tell(`${item.to} leads now`)
  }

  /** Until somebody whom the others follow leads again, or for `ms`. */
  async electedOrNot(gone: NodeName, ms: number): Promise<void> {
    const { timeline } = this.#stage
    const endMs = timeline.nowMs + ms
    const isThere = () => ![undefined, gone].includes(this.leader())
    while (!isThere() && timeline.nowMs < endMs) await this.#stage.pause(LOOK_MS)
    this.tell(
      isThere()
        ? `${this.leader()} leads now: the others have elected it by themselves`
        : 'nobody has been elected: the others cannot know what the old leader has acknowledged',
    )
  }

  /** Everything is mended; when all is equal, what there is goes into the history. */
  async healAndLook(keys: readonly string[]): Promise<void> {
    const { cluster, timeline } = this.#stage
    cluster.network.healAll()
    for (const { state, id } of cluster.machines)
      if (state === 'down') await this.start(id as NodeName, `${id} comes back`)
    await this.evened()
    const client = this.#stage.steered(this.leader() ?? 'n1')
    const rows: LabRow[] = []
    for (const key of keys) {
      const { value } = await client.table(posts).get(key, { timeoutMs: 20_000 })
      if (value !== undefined) rows.push({ key, version: value.version })
    }
    const ledger = cluster.machines.flatMap(machine => discardedOn(machine))
    const final: LabFinal = { kind: 'final', rows, ledger }
    timeline.history.push(final)
    const there = rows.map(({ key }) => key).join(', ') || 'nothing'
    this.tell(`all is mended and at rest. There is: ${there}`)
    for (const { id } of cluster.machines) {
      const own = ledger.filter(entry => entry.node === id)
      const isThere = (entry: LabRow) =>
        rows.some(row => row.key === entry.key && row.version >= entry.version)
      const gone = own.filter(entry => !isThere(entry)).map(({ key }) => key)
      const again = own.filter(isThere).map(({ key }) => key)
      if (gone.length > 0)
        this.tell(`in the ledger of ${id}, since the table lacks them, ${gone.length}: ${gone.join(', ')}`)
      if (again.length > 0)
        this.tell(`in the ledger of ${id}, its own try of what another leader wrote: ${again.join(', ')}`)
    }
  }

  #machine(node: NodeName): SimMachine {
    return this.#stage.cluster.machine(node)
  }

  #node(node: NodeName): Node {
    return this.#machine(node).node!
  }

  tell(words: string): void {
    this.#stage.timeline.step('', words)
  }

  async #until(what: string, ask: () => boolean): Promise<void> {
    const { timeline } = this.#stage
    const endMs = timeline.nowMs + WAIT_MAX_MS
    while (!ask()) {
      if (timeline.nowMs > endMs) throw new QuorateError('INTERNAL', `it did not come to this: ${what}`)
      await this.#stage.pause(LOOK_MS)
    }
  }
}

/** What was thrown out of a row, as far as the story's tables go. */
function discardedOn({ node, id }: SimMachine): LabFinal['ledger'] {
  return [...node!.context.ledger.list(undefined, 0 as Stamp, LEDGER_MAX)].flatMap(({ value }) => {
    const row = value === undefined ? undefined : (decodeDocument(value) as Partial<LabRow>)
    if (row?.key === undefined || row.version === undefined) return []
    return [{ key: row.key, version: Number(row.version), node: id }]
  })
}
