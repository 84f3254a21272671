/**
 * The cheapest of the largest flows through a network of whole capacities and whole costs from 0.
 *
 * Problem: placing replicas with the fewest moves is a transport problem, and a greedy answer is not the
 * best one. Mechanism: primal-dual. Dijkstra over reduced costs gives the length of the shortest way to
 * the sink; a blocking flow (Dinic: levels by breadth, then depth-first with a current arc) saturates all
 * ways of that length at once; potentials take over the distances and the next length follows. The rounds
 * are as many as there are different lengths, which is few where costs are few.
 * Invariants: `0 <= flow(arc) <= capacity(arc)`; what enters an inner vertex leaves it; no arc with room
 * left has a negative reduced cost (which is the proof of optimality). Arcs are tried in the order in
 * which they were added, so that the same network gives the same flow.
 * References: Ford and Fulkerson 1962; Edmonds and Karp 1972 (potentials); Dinitz 1970 (blocking flow).
 */

import { assert } from '../base/assert.ts'

const NONE = -1

export class MinCostFlow {
  readonly #vertices: number
  /** Arc 2i and its reverse 2i+1. */
  readonly #to: Int32Array
  readonly #next: Int32Array
  readonly #room: Int32Array
  readonly #cost: Int32Array
  readonly #first: Int32Array
  readonly #last: Int32Array
  readonly #potential: Float64Array
  readonly #distance: Float64Array
  readonly #level: Int32Array
  readonly #current: Int32Array
  readonly #queue: Int32Array
  #arcs = 0

  constructor(vertices: number, arcs: number) {
    this.#vertices = vertices
    this.#to = new Int32Array(arcs * 2)
    this.#next = new Int32Array(arcs * 2).fill(NONE)
    this.#room = new Int32Array(arcs * 2)
    this.#cost = new Int32Array(arcs * 2)
    this.#first = new Int32Array(vertices).fill(NONE)
    this.#last = new Int32Array(vertices).fill(NONE)
    this.#potential = new Float64Array(vertices)
    this.#distance = new Float64Array(vertices)
    this.#level = new Int32Array(vertices)
    this.#current = new Int32Array(vertices)
    this.#queue = new Int32Array(vertices)
  }

  /** The number of the arc, for `flowOn`. */
  addArc(from: number, to: number, capacity: number, cost: number): number {
    assert(Number.isInteger(capacity) && capacity >= 0, 'capacities are whole numbers from 0', capacity)
    assert(Number.isInteger(cost) && cost >= 0, 'costs are whole numbers from 0', cost)
    assert(this.#arcs * 2 < this.#to.length, 'there is room for the arc', this.#arcs)
    const arc = this.#arcs++
    this.#link(arc * 2, from, to, capacity, cost)
    this.#link(arc * 2 + 1, to, from, 0, -cost)
    return arc
  }

  #link(half: number, from: number, to: number, room: number, cost: number): void {
    this.#to[half] = to
    this.#room[half] = room
    this.#cost[half] = cost
    const last = this.#last[from]!
    if (last === NONE) this.#first[from] = half
    else this.#next[last] = half
    this.#last[from] = half
  }

  flowOn(arc: number): number {
    return this.#room[arc * 2 + 1]!
  }

  /** Sends as much as possible; of all such flows, one of the cheapest. Once per network. */
  run(source: number, sink: number): { readonly flow: number; readonly cost: number } {
    assert(source !== sink, 'source and sink differ')
    let flow = 0
    let cost = 0
    while (this.#shortestWays(source, sink)) {
      const length = this.#potential[sink]! - this.#potential[source]!
      while (this.#levels(source, sink)) {
        const sent = this.#block(source, sink)
        flow += sent
        cost += sent * length
      }
    }
    return { flow, cost }
  }

  /** Dijkstra; false when the sink cannot be reached any more. */
  #shortestWays(source: number, sink: number): boolean {
    const distance = this.#distance.fill(Number.POSITIVE_INFINITY)
    const heap = new VertexHeap()
    distance[source] = 0
    heap.push(source, 0)
    for (let entry = heap.pop(); entry !== undefined; entry = heap.pop()) {
      const { vertex } = entry
      if (entry.key > distance[vertex]!) continue
      for (let half = this.#first[vertex]!; half !== NONE; half = this.#next[half]!) {
        if (this.#room[half] === 0) continue
        const to = this.#to[half]!
        const through = entry.key + this.#cost[half]! + this.#potential[vertex]! - this.#potential[to]!
        if (through < distance[to]!) {
          distance[to] = through
          heap.push(to, through)
        }
      }
    }
    const reach = distance[sink]!
    if (reach === Number.POSITIVE_INFINITY) return false
    // Beyond the sink's distance nothing can be on a shortest way: those vertices keep up with the sink.
    for (let v = 0; v < this.#vertices; v++) this.#potential[v]! += Math.min(distance[v]!, reach)
    return true
  }

  #isTight(half: number, from: number): boolean {
    return (
      this.#room[half]! > 0 &&
      this.#cost[half]! + this.#potential[from]! - this.#potential[this.#to[half]!]! === 0
    )
  }

  /** Breadth-first over arcs of reduced cost 0. */
  #levels(source: number, sink: number): boolean {
    const level = this.#level.fill(NONE)
    const queue = this.#queue
    level[source] = 0
    queue[0] = source
    let length = 1
    for (let i = 0; i < length; i++) {
      const vertex = queue[i]!
      for (let half = this.#first[vertex]!; half !== NONE; half = this.#next[half]!) {
        const to = this.#to[half]!
        if (level[to] !== NONE || !this.#isTight(half, vertex)) continue
        level[to] = level[vertex]! + 1
        queue[length++] = to
      }
    }
    return level[sink] !== NONE
  }

  /** A blocking flow through the levels; depth-first without recursion, since ways can be long. */
  #block(source: number, sink: number): number {
    this.#current.set(this.#first)
    const way: number[] = []
    let sent = 0
    let vertex = source
    while (true) {
      if (vertex === sink) {
        sent += this.#augment(way)
        // Back to the tail of the first arc that is full now.
        const full = way.findIndex(half => this.#room[half] === 0)
        vertex = this.#to[way[full]! ^ 1]!
        way.length = full
        continue
      }
      const half = this.#advance(vertex)
      if (half !== NONE) {
        way.push(half)
        vertex = this.#to[half]!
        continue
      }
      if (vertex === source) return sent
      const back = way.pop()!
      vertex = this.#to[back ^ 1]!
      this.#current[vertex] = this.#next[this.#current[vertex]!]!
    }
  }

  #advance(vertex: number): number {
    let half = this.#current[vertex]!
    while (half !== NONE) {
      if (this.#level[this.#to[half]!] === this.#level[vertex]! + 1 && this.#isTight(half, vertex)) break
      half = this.#next[half]!
    }
    this.#current[vertex] = half
    return half
  }

  #augment(way: readonly number[]): number {
    let amount = Number.POSITIVE_INFINITY
    for (const half of way) amount = Math.min(amount, this.#room[half]!)
    for (const half of way) {
      this.#room[half]! -= amount
      this.#room[half ^ 1]! += amount
    }
    return amount
  }
}

/** A binary heap of vertices by key; ties go to the smaller vertex. */
class VertexHeap {
  readonly #entries: { readonly vertex: number; readonly key: number }[] = []

  push(vertex: number, key: number): void {
    const entries = this.#entries
    let at = entries.length
    const entry = { vertex, key }
    entries.push(entry)
    while (at > 0) {
      const parent = (at - 1) >>> 1
      if (!before(entry, entries[parent]!)) break
      entries[at] = entries[parent]!
      at = parent
    }
    entries[at] = entry
  }

  pop(): { readonly vertex: number; readonly key: number } | undefined {
    const entries = this.#entries
    const top = entries[0]
    const moved = entries.pop()
    if (entries.length === 0 || moved === undefined) return top
    let at = 0
    while (true) {
      let child = at * 2 + 1
      if (child >= entries.length) break
      if (child + 1 < entries.length && before(entries[child + 1]!, entries[child]!)) child++
      if (!before(entries[child]!, moved)) break
      entries[at] = entries[child]!
      at = child
    }
    entries[at] = moved
    return top
  }
}

const before = (
  a: { readonly vertex: number; readonly key: number },
  b: { readonly vertex: number; readonly key: number },
): boolean => a.key < b.key || (a.key === b.key && a.vertex < b.vertex)
