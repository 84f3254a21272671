/**
 * Scuttlebutt: every node's small state, spread by anti-entropy in pairs.
 *
 * Problem: tell everyone everything, soon, with bounded messages, although any message may be lost.
 * Mechanism: each node owns a map of versioned entries; versions grow over the whole map, so one number
 * (the highest version known) says all that a peer has of it. Digests of those numbers are exchanged,
 * then the entries above them, oldest version first: a cut delta leaves no gap.
 * Deleting writes a tombstone; a tombstone past its grace is dropped, and the *collection watermark*
 * remembers how far. A peer that stopped below the watermark may hold a key whose tombstone is gone, so it
 * is told to start over (`reset`) instead of being brought up from where it is.
 * Invariants, per (node, generation): only the owner makes versions; a copy at version v holds every
 * entry the owner had with version <= v, minus what was overwritten or collected; a higher generation
 * replaces a lower one wholly; nothing is kept about a node that is not a member.
 * References: van Renesse, Dumitriu, Gough, Thomas, "Efficient Reconciliation and Flow Control for
 * Anti-Entropy Protocols" (2008); chitchat (watermark and reset).
 */

import { assert } from '../base/assert.ts'
import { compareStrings, type NodeId } from '../base/ids.ts'

export type GossipValue = string | number

export interface GossipEntry {
  readonly key: string
  /** undefined: deleted. */
  readonly value: GossipValue | undefined
  readonly version: number
}

export interface DigestEntry {
  readonly node: NodeId
  readonly generation: number
  readonly heartbeat: number
  readonly version: number
  readonly collected: number
}

export interface NodeDelta {
  readonly node: NodeId
  readonly generation: number
  readonly heartbeat: number
  /** The receiver drops what it has and starts from version 0. */
  readonly reset: boolean
  /** Entries follow this version without a gap … */
  readonly from: number
  /** … up to this one. */
  readonly to: number
  /** Highest version the sender has, and its collection watermark. */
  readonly version: number
  readonly collected: number
  /** By version, rising. */
  readonly entries: readonly GossipEntry[]
}

export type GossipMessage =
  | { readonly kind: 'syn'; readonly digest: readonly DigestEntry[] }
  | { readonly kind: 'synack'; readonly digest: readonly DigestEntry[]; readonly delta: readonly NodeDelta[] }
  | { readonly kind: 'ack'; readonly delta: readonly NodeDelta[] }

interface Copy {
  generation: number
  heartbeat: number
  version: number
  collected: number
  readonly entries: Map<string, GossipEntry & { readonly deletedMs?: number }>
}

/** What applying a delta or a digest brought. */
export interface GossipNews {
  /** Nodes whose heartbeat moved. */
  readonly beats: readonly NodeId[]
  /** Nodes that came back with a higher generation. */
  readonly restarted: readonly NodeId[]
  readonly changes: readonly {
    readonly node: NodeId
    readonly key: string
    readonly value: GossipValue | undefined
  }[]
}

/** Fixed part of a node's delta and of an entry, about what the codec makes of them. */
const NODE_BYTES = 48
const ENTRY_BYTES = 12

const entryBytes = (entry: GossipEntry): number =>
  ENTRY_BYTES + entry.key.length + (typeof entry.value === 'string' ? entry.value.length * 2 : 9)

export class GossipState {
  readonly #self: NodeId
  readonly #copies = new Map<NodeId, Copy>()
  #members: ReadonlySet<NodeId> = new Set()

  constructor(self: NodeId, generation: number) {
    this.#self = self
    this.#copies.set(self, newCopy(generation))
  }

  /** Who may be spoken of. Copies of others are dropped. */
  setMembers(members: Iterable<NodeId>): void {
    this.#members = new Set([...members, this.#self])
    for (const node of [...this.#copies.keys()]) if (!this.#members.has(node)) this.#copies.delete(node)
  }

  beat(): void {
    this.#own().heartbeat++
  }

  set(key: string, value: GossipValue): void {
    const own = this.#own()
    if (own.entries.get(key)?.value === value) return
    own.entries.set(key, { key, value, version: ++own.version })
  }

  delete(key: string, nowMs: number): void {
    const own = this.#own()
    if (own.entries.get(key)?.value === undefined) return
    own.entries.set(key, { key, value: undefined, version: ++own.version, deletedMs: nowMs })
  }

  get(node: NodeId, key: string): GossipValue | undefined {
    return this.#copies.get(node)?.entries.get(key)?.value
  }

  generationOf(node: NodeId): number {
    return this.#copies.get(node)?.generation ?? 0
  }

  /** Drops tombstones seen longer ago than the grace, here only; others do the same by their own clocks. */
  collect(nowMs: number, graceMs: number): void {
    for (const copy of this.#copies.values()) {
      for (const [key, entry] of copy.entries) {
        if (entry.deletedMs === undefined || nowMs - entry.deletedMs < graceMs) continue
        copy.entries.delete(key)
        copy.collected = Math.max(copy.collected, entry.version)
      }
    }
  }

  digest(): DigestEntry[] {
    const out: DigestEntry[] = []
    for (const [node, copy] of this.#copies) {
      const { generation, heartbeat, version, collected } = copy
      out.push({ node, generation, heartbeat, version, collected })
    }
    return out.sort((a, b) => compareStrings(a.node, b.node))
  }

  /** What the sender of `digest` lacks, at most about `bytesMax`; the nodes it lacks most of come first. */
  deltaFor(digest: readonly DigestEntry[], bytesMax: number): NodeDelta[] {
    const theirs = new Map(digest.map(entry => [entry.node, entry]))
    const pending = [...this.#copies]
      .flatMap(([node, copy]) => pendingFor(node, copy, theirs.get(node)) ?? [])
      .sort((a, b) => b.entries.length - a.entries.length || compareStrings(a.node, b.node))
    const out: NodeDelta[] = []
    let left = bytesMax
    for (const delta of pending) {
      left -= NODE_BYTES + delta.node.length
      if (left < 0) break
      let count = 0
      while (count < delta.entries.length && left >= entryBytes(delta.entries[count]!)) {
        left -= entryBytes(delta.entries[count]!)
        count++
      }
      const entries = delta.entries.slice(0, count)
      const cut = count < delta.entries.length
      // A cut delta speaks for no more than the versions it carries.
      out.push(cut ? { ...delta, entries, to: entries.at(-1)?.version ?? delta.from } : delta)
      if (cut) break
    }
    return out
  }

  /** Heartbeats travel in digests: liveness needs no delta. */
  hearDigest(digest: readonly DigestEntry[]): NodeId[] {
    for (const entry of digest) if (entry.node === this.#self) this.#outlive(entry)
    return digest
      .filter(entry => this.#hearBeat(entry.node, entry.generation, entry.heartbeat))
      .map(e => e.node)
  }

  apply(deltas: readonly NodeDelta[], nowMs: number): GossipNews {
    const beats: NodeId[] = []
    const restarted: NodeId[] = []
    const changes: { node: NodeId; key: string; value: GossipValue | undefined }[] = []
    for (const delta of deltas) {
      if (delta.node === this.#self || !this.#members.has(delta.node)) continue
      const before = this.#copies.get(delta.node)
      if (before !== undefined && delta.generation < before.generation) continue
      const fresh = before === undefined || delta.generation > before.generation
      if (fresh && before !== undefined) restarted.push(delta.node)
      if (this.#hearBeat(delta.node, delta.generation, delta.heartbeat) || fresh) beats.push(delta.node)
      const copy = fresh ? newCopy(delta.generation) : before
      copy.heartbeat = Math.max(copy.heartbeat, delta.heartbeat)
      if (!applyTo(copy, delta, nowMs)) continue
      this.#copies.set(delta.node, copy)
      // A reset, or a new generation, may have dropped keys that nobody will name any more.
      const old = before?.entries ?? new Map<string, GossipEntry>()
      const keys = new Set([
        ...(fresh || delta.reset ? old.keys() : []),
        ...delta.entries.map(entry => entry.key),
      ])
      for (const key of keys) changes.push({ node: delta.node, key, value: copy.entries.get(key)?.value })
    }
    return { beats, restarted, changes }
  }

  #hearBeat(node: NodeId, generation: number, heartbeat: number): boolean {
    const copy = this.#copies.get(node)
    if (node === this.#self || copy === undefined || copy.generation !== generation) return false
    if (heartbeat <= copy.heartbeat) return false
    copy.heartbeat = heartbeat
    return true
  }

  /**
   * Peers know more of this node than it has ever said: that was an earlier life, on a store since lost, whose
   * count of lives went with it. This life goes on as the generation after that one, or nobody would hear it.
   */
  #outlive(hearsay: DigestEntry): void {
    const own = this.#own()
    const ahead = hearsay.heartbeat > own.heartbeat || hearsay.version > own.version
    const other = hearsay.generation > own.generation || (hearsay.generation === own.generation && ahead)
    if (other) own.generation = hearsay.generation + 1
  }

  #own(): Copy {
    const own = this.#copies.get(this.#self)
    assert(own !== undefined, 'a node always knows itself')
    return own
  }
}

const newCopy = (generation: number): Copy => ({
  generation,
  heartbeat: 0,
  version: 0,
  collected: 0,
  entries: new Map(),
})

function pendingFor(node: NodeId, copy: Copy, theirs: DigestEntry | undefined): NodeDelta | undefined {
  if (theirs !== undefined && theirs.generation > copy.generation) return undefined
  const known = theirs?.generation === copy.generation ? theirs : undefined
  if (known !== undefined && known.version >= copy.version) return undefined
  // Below the watermark, and not because a reset up to it is still being delivered.
  const reset = known === undefined || (known.version < copy.collected && known.collected < copy.collected)
  const from = reset ? 0 : known.version
  const entries = [...copy.entries.values()]
    .filter(entry => entry.version > from)
    .sort((a, b) => a.version - b.version)
    .map(({ key, value, version }) => ({ key, value, version }))
  const { generation, heartbeat, version, collected } = copy
  return { node, generation, heartbeat, reset, from, to: version, version, collected, entries }
}

/** False when the delta cannot follow on what is here. */
function applyTo(copy: Copy, delta: NodeDelta, nowMs: number): boolean {
  if (delta.reset) {
    const needed = copy.version === 0 || (copy.version < delta.collected && copy.collected < delta.collected)
    if (!needed) return false
    copy.entries.clear()
    copy.version = 0
    copy.collected = delta.collected
  } else {
    if (delta.from > copy.version) return false
    // The sender has dropped tombstones that this copy has not seen.
    if (copy.version < delta.collected && copy.collected < delta.collected) return false
    // This copy is being brought up to a watermark that the sender has not reached: it may not know a deletion.
    if (copy.version < copy.collected && delta.version < copy.collected) return false
  }
  for (const { key, value, version } of delta.entries) {
    if (version <= copy.version) continue
    copy.entries.set(
      key,
      value === undefined ? { key, value, version, deletedMs: nowMs } : { key, value, version },
    )
  }
  copy.version = Math.max(copy.version, delta.to)
  return true
}
