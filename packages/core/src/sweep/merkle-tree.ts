/**
 * One partition's Merkle tree with mergeable hashes.
 *
 * Problem: a tree that is built by reading all rows is stale when it is done. Mechanism: a node's hash is
 * the *sum* of its rows' fingerprints (four 32-bit lanes, each modulo 2³²) and their count, so one write
 * changes one leaf and its ancestors by a difference, without reading a row. Sums, unlike XOR, do not
 * cancel duplicates. Fan-out 16; a row's leaf follows from its token, so each leaf is one contiguous key
 * range. Level 0 is the root.
 *
 * Invariant: every node equals the sum of its children; the root equals the sum over the partition's rows.
 * References: Merkle 1987; Riak's TicTac trees (mergeable, updated by deltas).
 */

import { assert } from '../base/assert.ts'
import type { Token } from '../base/ids.ts'
import type { Digest } from '../cells/cell-codec.ts'

export const FAN_OUT = 16
/** Numbers per node: four lanes and a row count. */
const WIDTH = 5

export interface TreeNode {
  readonly digest: Digest
  readonly rows: number
}

export class MerkleTree {
  readonly start: number
  readonly end: number
  readonly leafCount: number
  readonly depth: number
  /** Levels 0 (root) … depth (leaves), each WIDTH numbers a node. */
  readonly #levels: Uint32Array[]

  constructor(start: number, end: number, leafCount: number) {
    this.start = start
    this.end = end
    this.leafCount = leafCount
    this.depth = Math.round(Math.log2(leafCount) / 4)
    assert(FAN_OUT ** this.depth === leafCount, 'leaves are a power of the fan-out', leafCount)
    this.#levels = Array.from(
      { length: this.depth + 1 },
      (_, level) => new Uint32Array(FAN_OUT ** level * WIDTH),
    )
  }

  leafOf(token: Token): number {
    return Math.floor(((token - this.start) * this.leafCount) / (this.end - this.start))
  }

  /** Tokens [from, to) of a leaf. */
  leafRange(leaf: number): { from: number; to: number } {
    const width = this.end - this.start
    return {
      from: this.start + Math.ceil((leaf * width) / this.leafCount),
      to: this.start + Math.ceil(((leaf + 1) * width) / this.leafCount),
    }
  }

  /** Adds (sign 1) or takes away (sign −1) one row. */
  apply(token: Token, digest: Digest, sign: 1 | -1): void {
    let index = this.leafOf(token)
    for (let level = this.depth; level >= 0; level--) {
      const nodes = this.#levels[level]!
      const at = index * WIDTH
      for (let lane = 0; lane < 4; lane++) nodes[at + lane] = nodes[at + lane]! + sign * digest[lane]!
      nodes[at + 4] = nodes[at + 4]! + sign
      index = Math.floor(index / FAN_OUT)
    }
  }

  /** Sets a leaf to what counting its rows gave; true when that changed it. */
  setLeaf(leaf: number, sum: TreeNode): boolean {
    const before = this.node(this.depth, leaf)
    const difference = [...sum.digest, sum.rows].map(
      (value, lane) => value - (lane < 4 ? before.digest[lane]! : before.rows),
    )
    if (difference.every(lane => lane === 0)) return false
    let index = leaf
    for (let level = this.depth; level >= 0; level--) {
      const nodes = this.#levels[level]!
      for (let lane = 0; lane < WIDTH; lane++)
        nodes[index * WIDTH + lane] = nodes[index * WIDTH + lane]! + difference[lane]!
      index = Math.floor(index / FAN_OUT)
    }
    return true
  }

  node(level: number, index: number): TreeNode {
    const nodes = this.#levels[level]!
    const at = index * WIDTH
    return { digest: [nodes[at]!, nodes[at + 1]!, nodes[at + 2]!, nodes[at + 3]!], rows: nodes[at + 4]! }
  }

  /** Nothing counted in a leaf, by any of its numbers: they may disagree when it is wrong. */
  isEmptyLeaf(leaf: number): boolean {
    const nodes = this.#levels[this.depth]!
    for (let lane = 0; lane < WIDTH; lane++) if (nodes[leaf * WIDTH + lane] !== 0) return false
    return true
  }

  get root(): TreeNode {
    return this.node(0, 0)
  }

  /** Raw numbers of leaves [from, to), for keeping on disk. */
  leafPage(from: number, to: number): Uint8Array {
    const page = this.#levels[this.depth]!.slice(from * WIDTH, to * WIDTH)
    return new Uint8Array(page.buffer, page.byteOffset, page.byteLength)
  }

  loadLeafPage(from: number, bytes: Uint8Array): void {
    const page = new Uint32Array(bytes.slice().buffer)
    for (let i = 0; i < page.length / WIDTH; i++) {
      const at = i * WIDTH
      const digest: Digest = [page[at]!, page[at + 1]!, page[at + 2]!, page[at + 3]!]
      this.setLeaf(from + i, { digest, rows: page[at + 4]! })
    }
  }
}

export function sumDigests(digests: Iterable<Digest>): TreeNode {
  const sum = new Uint32Array(4)
  let rows = 0
  for (const digest of digests) {
    for (let lane = 0; lane < 4; lane++) sum[lane] = sum[lane]! + digest[lane]!
    rows++
  }
  return { digest: [sum[0]!, sum[1]!, sum[2]!, sum[3]!], rows }
}

export function sameNode(a: TreeNode, b: TreeNode): boolean {
  return a.rows === b.rows && a.digest.every((lane, i) => lane === b.digest[i])
}
