/**
 * Drives a committed plan: looks at the maps, asks who must be asked, and takes each partition one step on
 * when what the step needs has been said durably (SPEC.md has the table).
 *
 * Nothing is remembered here: the stage of every partition is in its register and each question can be asked
 * again, so any node can drive and goes on where another stopped. Two that drive at once do no harm, since
 * each step is a compare-and-set from the attempt, version and stage it was decided on; normally the first live member does.
 */

import { isQuorateError } from '../base/errors.ts'
import type { NodeId, PeerId, TableId } from '../base/ids.ts'
import type { TableView } from '../catalog/catalog.ts'
import type { NodeContext } from '../leaderless/node-context.ts'
import {
  leavers,
  type MapChunk,
  type MoveStage,
  type Partition,
  receivers,
} from '../partitioning/partition-map.ts'
import { pause } from '../ports/pause.ts'
import {
  barrierMessage,
  handOverMessage,
  type Message,
  prepareMoveMessage,
  receiveMoveMessage,
} from '../wire/messages.ts'
import { advance, type IsMeant, isSwitched, sameAttempt, takeBack } from './move-steps.ts'

const LOOK_MS = 200
const ASK_MS = 5_000
/** An exchange of a whole partition may take longer. */
const EXCHANGE_MS = 60_000

export interface MoveReport {
  readonly table: string
  readonly partition: number
  readonly stage: MoveStage
  readonly to: readonly NodeId[]
  readonly rows: number
  readonly bytes: number
  /** What the partition waits for, in words; '' while it goes on. */
  readonly waitsFor: string
}

export interface MoverOptions {
  readonly node: NodeContext
  /** Is it for this node to drive? */
  readonly isDriver: () => boolean
  /** The task to drive now; undefined when there is none, or it is paused. */
  readonly task: () => { readonly id: string; readonly parallel: number } | undefined
  /** The task of now, in whatever state, as far as it is known here, and as the registers have it. */
  readonly knownTask: () => string | undefined
  readonly taskOfNow: () => Promise<string | undefined>
  /** Changes a piece of a map by compare-and-set; false when nothing was changed. */
  readonly change: (
    table: TableId,
    index: number,
    change: (chunk: MapChunk) => MapChunk | undefined,
  ) => Promise<boolean>
  /** Called when no partition of the task is left to move. */
  readonly finish: (task: string) => Promise<void>
}

interface Moving {
  readonly view: TableView
  readonly partition: Partition
  readonly name: string
}

export class Mover {
  readonly #options: MoverOptions
  readonly #node: NodeContext
  readonly #reports = new Map<string, { rows: number; bytes: number; waitsFor: string }>()
  #stopped = false

  constructor(options: MoverOptions) {
    this.#options = options
    this.#node = options.node
  }

  start(): void {
    void this.#loop()
  }

  stop(): void {
    this.#stopped = true
  }

  async #loop(): Promise<void> {
    while (!this.#stopped) {
      await pause(this.#node.clock, LOOK_MS)
      for (let stepped = true; stepped && !this.#stopped; ) {
        stepped = this.#options.isDriver() && (await this.#roundOrNone())
      }
    }
  }

  async #roundOrNone(): Promise<boolean> {
    try {
      const task = this.#options.task()
      const stepped = task !== undefined && (await this.round(task))
      return (await this.#endOrphans()) || stepped
    } catch (error) {
      // Registers that cannot be reached, or another driver was first: looked at again.
      if (!isQuorateError(error)) throw error
      return false
    }
  }

  /** How the partitions of a task stand, as far as this node knows. */
  reports(task: string): MoveReport[] {
    return this.#moving(task).map(({ view, partition, name }) => {
      const { rows, bytes, waitsFor } = this.#reports.get(name) ?? { rows: 0, bytes: 0, waitsFor: '' }
      const { stage, to } = partition.move!
      return { table: view.descriptor.name, partition: partition.id, stage, to, rows, bytes, waitsFor }
    })
  }

  /** Of one task, or all. */
  #moving(task?: string): Moving[] {
    const out: Moving[] = []
    for (const view of this.#node.catalog.views()) {
      for (const partition of view.map.partitions) {
        if (partition.move !== undefined && (task === undefined || partition.move.task === task))
          out.push({ view, partition, name: `${view.descriptor.id}/${partition.id}` })
      }
    }
    return out
  }

  /** Takes every partition that can go on one step on; false when none could. */
  async round({ id, parallel }: { readonly id: string; readonly parallel: number }): Promise<boolean> {
    const moving = this.#moving(id)
    if (moving.length === 0) {
      this.#reports.clear()
      await this.#options.finish(id)
      return false
    }
    const at = (...stages: MoveStage[]): Moving[] =>
      moving.filter(({ partition }) => stages.includes(partition.move!.stage))
    // Where it was to go is no member any more: it stays where it is, and another plan finds it a place.
    const aimless = moving.filter(
      ({ partition: { move } }) =>
        !isSwitched(move!.stage) && this.#members(move!.to).length < move!.to.length,
    )
    await this.#change(aimless, takeBack)
    const begun = moving.length - at('queued').length
    const results = await Promise.all([
      this.#pass(at('new-only'), 'new-only', all => this.#barrier(all, false)),
      this.#pass(at('read-new'), 'read-new', all => this.#handOver(all)),
      this.#pass(at('verify'), 'verify', all => this.#received(all, ['verified'])),
      this.#pass(at('stream'), 'stream', all => this.#received(all, ['verifying', 'verified'])),
      this.#pass(at('write-both'), 'write-both', all => this.#barrier(all, true)),
      this.#pass(at('prepare'), 'prepare', all => this.#prepared(all)),
      this.#pass(at('queued').slice(0, Math.max(0, parallel - begun)), 'queued', all => Promise.resolve(all)),
    ])
    return results.some(stepped => stepped)
  }

  /**
   * Moves of a task that is over: its committer queued them after it had been taken back. They are taken back,
   * too, or finished where they have been switched. Moves are queued only when their task is in the register,
   * so a reading of it after they were seen says for sure which task is over.
   */
  async #endOrphans(): Promise<boolean> {
    const seen = this.#moving()
    if (seen.length === 0) return false
    const { knownTask, taskOfNow } = this.#options
    if (seen.every(({ partition }) => partition.move!.task === knownTask())) return false
    const now = await taskOfNow()
    const orphans = seen.filter(({ partition }) => partition.move!.task !== now)
    if (orphans.length === 0) return false
    const ended = await this.#change(
      orphans.filter(({ partition }) => !isSwitched(partition.move!.stage)),
      takeBack,
    )
    const switched = (stage: MoveStage): Moving[] =>
      orphans.filter(({ partition }) => partition.move!.stage === stage)
    const read = await this.#pass(switched('read-new'), 'read-new', all => this.#handOver(all))
    const settled = await this.#pass(switched('new-only'), 'new-only', all => this.#barrier(all, false))
    return ended || read || settled
  }

  /** One stage on, piece by piece of the map, for those that `ready` lets through. */
  async #pass(
    all: readonly Moving[],
    stage: MoveStage,
    ready: (all: readonly Moving[]) => Promise<readonly Moving[]>,
  ): Promise<boolean> {
    if (all.length === 0) return false
    return this.#change(await ready(all), (chunk, isMeant) => advance(chunk, isMeant, stage))
  }

  /** Changes the entries of these partitions, piece by piece of the maps; true when any was changed. */
  async #change(
    chosen: readonly Moving[],
    change: (chunk: MapChunk, isMeant: IsMeant) => MapChunk | undefined,
  ): Promise<boolean> {
    const pieces = new Map<string, { table: TableId; index: number; seen: Partition[] }>()
    for (const { view, partition } of chosen) {
      const table = view.descriptor.id
      const name = `${table}/${partition.chunk}`
      const piece = pieces.get(name) ?? { table, index: partition.chunk, seen: [] }
      pieces.set(name, piece)
      piece.seen.push(partition)
    }
    const stepped = await Promise.all(
      [...pieces.values()].map(({ table, index, seen }) => {
        const isMeant = sameAttempt(seen)
        return this.#options.change(table, index, chunk => change(chunk, isMeant))
      }),
    )
    return stepped.some(ok => ok)
  }

  /** Those of which every party that is asked says yes. Who did not is what the partition waits for. */
  async #unanimous<Item, Request, Reply>(
    all: readonly Moving[],
    parties: (moving: Moving) => readonly NodeId[],
    message: Message<Request, Reply>,
    item: (moving: Moving) => Item,
    request: (items: readonly Item[]) => Request,
    yes: (reply: Reply, at: number, moving: Moving) => boolean,
    timeoutMs: number,
  ): Promise<Moving[]> {
    const byNode = new Map<NodeId, Moving[]>()
    for (const moving of all) {
      for (const party of parties(moving)) byNode.set(party, [...(byNode.get(party) ?? []), moving])
    }
    const refused = new Map<string, NodeId[]>()
    const refuse = (name: string, node: NodeId): void =>
      void refused.set(name, [...(refused.get(name) ?? []), node])
    await Promise.all(
      [...byNode].map(async ([party, asked]) => {
        try {
          const body = request(asked.map(item))
          const reply = await this.#node.rpc.request(party as string as PeerId, message, body, timeoutMs)
          asked.forEach((moving, at) => {
            if (!yes(reply, at, moving)) refuse(moving.name, party)
          })
        } catch (error) {
          if (!isQuorateError(error)) throw error
          // It did not answer: the partition waits for it, and the report says so.
          for (const moving of asked) refuse(moving.name, party)
        }
      }),
    )
    for (const { name } of all) this.#note(name, refused.get(name) ?? [])
    return all.filter(({ name }) => !refused.has(name))
  }

  #note(name: string, waitsFor: readonly NodeId[]): void {
    const before = this.#reports.get(name) ?? { rows: 0, bytes: 0, waitsFor: '' }
    const words = waitsFor.map(node => `${node}${this.#node.isSuspected(node) ? ' (suspected down)' : ''}`)
    this.#reports.set(name, { ...before, waitsFor: words.join(', ') })
  }

  /** A home that was removed for good is asked nothing: its successors have been proven without it. */
  #members(nodes: readonly NodeId[]): NodeId[] {
    return nodes.filter(node => this.#node.catalog.member(node) !== undefined)
  }

  #address({ view, partition }: Moving) {
    const { id, version, chunk } = partition
    return { table: view.descriptor.id as number, partition: id, mapVersion: version, chunk }
  }

  #withSession(moving: Moving) {
    return { ...this.#address(moving), session: moving.partition.move!.session }
  }

  /** All who keep the rows know this version; `all`: the old homes too, even when they are not needed any more. */
  #barrier(all: readonly Moving[], withOld: boolean): Promise<Moving[]> {
    return this.#unanimous(
      all,
      ({ partition }) => this.#members(withOld ? partition.holders : partition.replicas),
      barrierMessage,
      moving => this.#address(moving),
      partitions => ({ partitions }),
      (reply, at) => reply.reached[at] === true,
      ASK_MS,
    )
  }

  #prepared(all: readonly Moving[]): Promise<Moving[]> {
    return this.#unanimous(
      all,
      ({ partition }) => receivers(partition),
      prepareMoveMessage,
      moving => this.#withSession(moving),
      partitions => ({ partitions }),
      (reply, at) => reply.ready[at] === true,
      ASK_MS,
    )
  }

  #received(all: readonly Moving[], states: readonly string[]): Promise<Moving[]> {
    return this.#unanimous(
      all,
      ({ partition }) => receivers(partition),
      receiveMoveMessage,
      moving => this.#withSession(moving),
      partitions => ({ partitions }),
      (reply, at, { name }) => {
        const move = reply.moves[at]
        if (move === undefined) return false
        const before = this.#reports.get(name)
        this.#reports.set(name, { rows: move.rows, bytes: move.bytes, waitsFor: before?.waitsFor ?? '' })
        return states.includes(move.state)
      },
      ASK_MS,
    )
  }

  async #handOver(all: readonly Moving[]): Promise<Moving[]> {
    const known = await this.#barrier(all, true)
    return this.#unanimous(
      known,
      ({ partition }) => this.#members(leavers(partition)),
      handOverMessage,
      moving => this.#withSession(moving),
      partitions => ({ partitions }),
      (reply, at) => reply.done[at] === true,
      EXCHANGE_MS,
    )
  }
}
