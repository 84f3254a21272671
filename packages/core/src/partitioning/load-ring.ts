/**
 * A ring that knows the replicated load of every node while tokens are added one by one.
 *
 * Problem: judging one more token by walking the whole ring again costs the ring's length, for every
 * candidate. Mechanism: each arc keeps its replicas and its *reach*, the number of points that its walk
 * visited. A token inserted at distance d after an arc changes that arc only if its reach is above d, so a
 * trial looks at the few arcs before the token, and taking it updates the same few.
 * Invariants: `load[x] = Σ width of the arcs that x replicates` (whole numbers, exact); `reach` of a walk
 * that met every point without finding all its replicas is ENDLESS, since any token may change it.
 * The walk is that of `ring.ts`; a test holds the loads to `replicatedLoad`.
 */

import { assert } from '../base/assert.ts'
import { TOKENS } from './arc-map.ts'

const ENDLESS = 0x3fff_ffff

/** A trial stops after so many arcs: beyond, only the judgement gets coarser, never the loads. */
const TRIAL_ARCS_MAX = 256

/** …or after so many in a row that stay as they are. */
const QUIET_ARCS_MAX = 12

export class LoadRing {
  readonly #n: number
  readonly #zoneOf: Int32Array
  readonly #weight: Float64Array
  /** Points in order of token: token, owner, reach, and n replicas each (−1: none). */
  readonly #token: Uint32Array
  readonly #owner: Int32Array
  readonly #reach: Int32Array
  readonly #replicas: Int32Array
  readonly #load: Float64Array
  readonly #tokensOf: Int32Array
  readonly #nodesInZone: Int32Array
  #points = 0
  #zones = 0
  #reachMax = 0
  // Scratch of one walk and one trial.
  readonly #met: Int32Array
  readonly #zoneMet: Int32Array
  #stamp = 0
  readonly #walked: Int32Array
  readonly #passedOver: number[] = []
  readonly #change: Float64Array
  readonly #isTouched: Uint8Array
  readonly #touched: number[] = []

  constructor(
    nodes: readonly { readonly zone: number; readonly weight: number }[],
    replicaCount: number,
    tokensMax: number,
  ) {
    this.#n = replicaCount
    this.#zoneOf = Int32Array.from(nodes, ({ zone }) => zone)
    this.#weight = Float64Array.from(nodes, ({ weight }) => weight)
    this.#token = new Uint32Array(tokensMax)
    this.#owner = new Int32Array(tokensMax)
    this.#reach = new Int32Array(tokensMax)
    this.#replicas = new Int32Array(tokensMax * replicaCount)
    this.#load = new Float64Array(nodes.length)
    this.#tokensOf = new Int32Array(nodes.length)
    const zones = this.#zoneOf.reduce((most, zone) => Math.max(most, zone + 1), 0)
    this.#nodesInZone = new Int32Array(zones)
    this.#met = new Int32Array(nodes.length)
    this.#zoneMet = new Int32Array(zones)
    this.#walked = new Int32Array(replicaCount)
    this.#change = new Float64Array(nodes.length)
    this.#isTouched = new Uint8Array(nodes.length)
  }

  get points(): number {
    return this.#points
  }

  tokenAt(point: number): number {
    return this.#token[point]!
  }

  loadOf(node: number): number {
    return this.#load[node]!
  }

  /** Tokens of the arc that ends with this point. */
  width(point: number): number {
    if (point > 0) return this.#token[point]! - this.#token[point - 1]!
    return this.#points === 1 ? TOKENS : this.#token[0]! - this.#token[this.#points - 1]! + TOKENS
  }

  /** Where a token takes most off: wide arcs of loaded nodes; the heaviest first. */
  heaviest(count: number): number[] {
    const points: number[] = []
    const scores: number[] = []
    let least = -1
    for (let point = 0; point < this.#points; point++) {
      const owner = this.#owner[point]!
      const score = (this.width(point) * this.#load[owner]!) / this.#weight[owner]!
      if (score <= least) continue
      let at = points.length
      while (at > 0 && scores[at - 1]! < score) at--
      points.splice(at, 0, point)
      scores.splice(at, 0, score)
      if (points.length > count) {
        points.pop()
        scores.pop()
      }
      if (points.length === count) least = scores[count - 1]!
    }
    return points
  }

  /** The first point at or after a token; `points` when there is none. */
  pointAfter(token: number): number {
    let low = 0
    let high = this.#points
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#token[middle]! < token) low = middle + 1
      else high = middle
    }
    return low
  }

  isTaken(token: number): boolean {
    const point = this.pointAfter(token)
    return point < this.#points && this.#token[point] === token
  }

  /** Many tokens at once, in any order; the walks are made once, at the end. */
  fill(tokens: readonly { readonly token: number; readonly node: number }[]): void {
    assert(this.#points === 0, 'an empty ring is filled')
    const sorted = [...tokens].sort((a, b) => a.token - b.token || a.node - b.node)
    sorted.forEach(({ token, node }, point) => {
      this.#token[point] = token
      this.#owner[point] = node
      this.#count(node)
    })
    this.#points = sorted.length
    this.#rewalk()
  }

  /** True when the zone rule changed, and with it every walk. */
  #count(node: number): boolean {
    if (this.#tokensOf[node]!++ > 0) return false
    return this.#nodesInZone[this.#zoneOf[node]!]!++ === 0 && ++this.#zones <= this.#n
  }

  #rewalk(): void {
    this.#load.fill(0)
    this.#reachMax = 0
    for (let point = 0; point < this.#points; point++) {
      this.#settle(point, this.#walk(point, -1, -1))
      this.#charge(point, this.width(point))
    }
  }

  insert(token: number, node: number): void {
    const at = this.pointAfter(token)
    assert(at === this.#points || this.#token[at] !== token, 'a token has one owner', token)
    const all = this.#count(node)
    // The new arc is the first part of the one it splits: same replicas until it has walked itself.
    if (!all && this.#points > 0) {
      const split = at % this.#points
      const start = this.#token[(split + this.#points - 1) % this.#points]!
      const width = this.#points === 1 ? (token - start + TOKENS) % TOKENS : mod(token - start)
      this.#charge(split, -width)
    }
    this.#shift(at, token, node)
    if (all || this.#points === 1) return this.#rewalk()
    const n = this.#n
    const next = (at + 1) % this.#points
    for (let i = 0; i < n; i++) this.#replicas[at * n + i] = this.#replicas[next * n + i]!
    this.#charge(at, this.width(at))
    this.#walkAgain(at)
    const farthest = Math.min(this.#points - 1, this.#reachMax)
    for (let distance = 1; distance <= farthest; distance++) {
      const point = (at - distance + this.#points) % this.#points
      if (this.#reach[point]! > distance) this.#walkAgain(point)
    }
  }

  /** Forgets the reach of walks that have become shorter; worth a look at all points now and then. */
  tighten(): void {
    this.#reachMax = this.#reach.subarray(0, this.#points).reduce((most, reach) => Math.max(most, reach), 0)
  }

  /** Walks again, and moves the load from the old replicas to the new ones. */
  #walkAgain(point: number): void {
    const width = this.width(point)
    this.#charge(point, -width)
    this.#settle(point, this.#walk(point, -1, -1))
    this.#charge(point, width)
  }

  #shift(at: number, token: number, node: number): void {
    const n = this.#n
    this.#token.copyWithin(at + 1, at, this.#points)
    this.#owner.copyWithin(at + 1, at, this.#points)
    this.#reach.copyWithin(at + 1, at, this.#points)
    this.#replicas.copyWithin((at + 1) * n, at * n, this.#points * n)
    this.#token[at] = token
    this.#owner[at] = node
    this.#points++
  }

  #charge(point: number, width: number): void {
    for (let i = point * this.#n; i < (point + 1) * this.#n; i++) {
      const replica = this.#replicas[i]!
      if (replica >= 0) this.#load[replica]! += width
    }
  }

  #settle(point: number, reach: number): void {
    this.#reach[point] = reach
    this.#reachMax = Math.max(this.#reachMax, reach)
    this.#replicas.set(this.#walked, point * this.#n)
  }

  /** Replicas of a walk from `point`, with `node` met just before `insertAt`; the result is in `#walked`. */
  #walk(point: number, insertAt: number, node: number): number {
    const stamp = ++this.#stamp
    const points = this.#points
    const walked = this.#walked
    this.#passedOver.length = 0
    let found = 0
    let zonesUsed = 0
    let at = point
    let isMet = false
    for (let visited = 0; visited < points; ) {
      const isInserted = at === insertAt && !isMet
      const owner = isInserted ? node : this.#owner[at]!
      if (isInserted) isMet = true
      else {
        visited++
        at = at + 1 === points ? 0 : at + 1
      }
      if (this.#met[owner] === stamp) continue
      this.#met[owner] = stamp
      const zone = this.#zoneOf[owner]!
      if (this.#zoneMet[zone] !== stamp) {
        this.#zoneMet[zone] = stamp
        zonesUsed++
      } else if (zonesUsed < this.#zones) {
        this.#passedOver.push(owner)
        continue
      }
      walked[found++] = owner
      if (found === this.#n) return visited
    }
    for (let i = 0; found < this.#n; i++) walked[found++] = this.#passedOver[i] ?? -1
    return ENDLESS
  }

  /**
   * How the sum of load² / weight changes when `node` gets `token`, a free place in the arc that ends at
   * `point`; `weight` is what the node counts for as yet.
   */
  trial(point: number, token: number, node: number, weight: number): number {
    const start = this.#token[(point + this.#points - 1) % this.#points]!
    this.#try(point, mod(token - start), point, node)
    let quiet = 0
    const last = Math.min(this.#points - 1, TRIAL_ARCS_MAX)
    for (let distance = 1; distance <= last && quiet < QUIET_ARCS_MAX; distance++) {
      const before = (point - distance + this.#points) % this.#points
      if (this.#reach[before]! > distance) {
        quiet = 0
        this.#try(before, this.width(before), point, node)
      } else quiet++
    }
    let cost = 0
    for (const each of this.#touched) {
      const change = this.#change[each]! / TOKENS
      const load = this.#load[each]! / TOKENS
      cost += (change * (2 * load + change)) / (each === node ? weight : this.#weight[each]!)
      this.#change[each] = 0
      this.#isTouched[each] = 0
    }
    this.#touched.length = 0
    return cost
  }

  #try(arc: number, width: number, point: number, node: number): void {
    const from = arc * this.#n
    for (let i = from; i < from + this.#n; i++) if (this.#replicas[i] === node) return
    this.#walk(arc, point, node)
    for (let i = 0; i < this.#n; i++) {
      this.#touch(this.#replicas[from + i]!, -width)
      this.#touch(this.#walked[i]!, width)
    }
  }

  #touch(node: number, change: number): void {
    if (node < 0) return
    if (this.#isTouched[node] === 0) {
      this.#isTouched[node] = 1
      this.#touched.push(node)
    }
    this.#change[node]! += change
  }
}

const mod = (token: number): number => (token < 0 ? token + TOKENS : token)
