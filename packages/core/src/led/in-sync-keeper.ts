/**
 * Keeps the in-sync sets of the partitions that this node leads: who has not been up to date for a while goes, who has
 * everything again comes back. Only of tables whose acknowledgement rests on the set.
 *
 * Invariants: a smaller set counts when the register has it; a larger one counts from the moment it is asked for, and
 * until the register has answered, whatever maps that are learned meanwhile say; when it is not known what it answered, until
 * it has taken a later change, since it may still take the one before. A set is never smaller than `minInSync`: with fewer
 * copies nothing is committed, and who is kept in it has all that was.
 * References: Kafka KIP-497, KIP-966.
 */

import type { NodeId } from '../base/ids.ts'
import { ledOf } from '../catalog/table-descriptor.ts'
import { withInSync } from '../leadership/leadership.ts'
import { changeChunk } from '../partitioning/map-chunks.ts'
import { partitionSets } from '../partitioning/partition-map.ts'
import { pause } from '../ports/pause.ts'
import type { ChallengerOptions } from './challenger.ts'
import type { Leading } from './leading.ts'
import type { Held } from './led-partitions.ts'

type Options = Pick<ChallengerOptions, 'node' | 'partitions' | 'beatMs' | 'change' | 'operation'> & {
  readonly lagMs: number
}

interface Seen {
  /** When it was last up to date, and the end of the log that makes it so again. */
  upToDateMs: number
  end: number
}

export class InSyncKeeper {
  readonly #options: Options
  readonly #seen = new WeakMap<Leading, Map<NodeId, Seen>>()
  readonly #changing = new WeakSet<Leading>()
  #stopped = false

  constructor(options: Options) {
    this.#options = options
  }

  start(): void {
    void this.#loop()
  }

  stop(): void {
    this.#stopped = true
  }

  async #loop(): Promise<void> {
    while (!this.#stopped) {
      await pause(this.#options.node.clock, this.#options.beatMs)
      if (this.#stopped) return
      for (const held of this.#options.partitions.held()) this.#look(held)
    }
  }

  #look(held: Held): void {
    const { leading } = held.seat
    const settings = ledOf(held.view.descriptor)
    if (leading === undefined || settings?.ack !== 'in-sync' || this.#changing.has(leading)) return
    const wanted = this.#wanted(held, leading)
    const { registered, asked } = leading.members
    const isAsIs = wanted.length === registered.length && wanted.every(node => registered.includes(node))
    // What was asked for in vain, nobody knows with what success, counts until the register has taken a later change.
    if (isAsIs && asked.every(node => wanted.includes(node))) return
    this.#changing.add(leading)
    void this.#change(held, leading, wanted).finally(() => this.#changing.delete(leading))
  }

  #wanted({ partition, seat }: Held, leading: Leading): NodeId[] {
    const { node, lagMs } = this.#options
    const nowMs = node.clock.monotonicMs()
    const { last } = seat.replica.log.shape
    const seen = this.#seen.get(leading) ?? new Map<NodeId, Seen>()
    this.#seen.set(leading, seen)
    const isIn = (home: NodeId): boolean => {
      if (home === node.self) return true
      const known = seen.get(home) ?? { upToDateMs: nowMs, end: last }
      seen.set(home, known)
      const matched = leading.replication.matchedOf(home)
      if (matched >= known.end && leading.heardFrom(home) >= nowMs - lagMs) {
        known.upToDateMs = nowMs
        known.end = last
      }
      if (leading.inSync.includes(home)) return nowMs - known.upToDateMs <= lagMs
      return matched >= last && leading.heardFrom(home) >= nowMs - lagMs
    }
    // Also with fewer than `minInSync`: writes are refused then, and readers are answered under a lease of those who are up.
    return [...new Set(partition.writeSets.flat())].filter(isIn)
  }

  async #change({ view, partition }: Held, leading: Leading, wanted: readonly NodeId[]): Promise<void> {
    const { node, change, operation } = this.#options
    const before = leading.members.asked
    leading.askInSync([...new Set([...before, ...wanted])])
    const by = { node: node.self, epoch: leading.epoch }
    const outcome = await change(
      view.descriptor.id,
      partition.chunk,
      current => {
        let refusal = 'there is no such partition'
        const changed =
          current &&
          changeChunk(current, entry => {
            if (entry.id !== partition.id || entry.lead === undefined) return entry
            const { writeSets } = partitionSets(entry)
            const now = { ...entry.lead, replicas: [...new Set(writeSets.flat())] }
            const lead = withInSync(now, by, wanted)
            if (typeof lead === 'string') {
              refusal = lead
              return entry
            }
            return { ...entry, lead: { ...entry.lead, inSync: lead.inSync } }
          })
        return changed ?? refusal
      },
      operation(),
    )
    if (leading.hasEnded) return
    // The map has learned of it, and what was asked before it can come no more.
    if (outcome.kind === 'committed') leading.askInSync([])
    else if (outcome.kind !== 'unknown') leading.askInSync(before)
  }
}
