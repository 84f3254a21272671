/**
 * A few keys in the order in which they arrived, to see whether they only ever grow.
 *
 * Problem: keys that are timestamps or counters all go to the last partition of a range-partitioned table,
 * and splitting it does not help: the next key lies beyond every split. Mechanism: a ring of `SAMPLES` new
 * keys, taken at most every `everyMs` so that it spans a while; growing if most of the younger half lie
 * beyond the maximum of the older half. Comparing halves, not neighbours, forgives writers that are a little
 * out of order. Of keys in no order, 1 in 17 of the younger half lies beyond.
 */

const SAMPLES = 32
const FEW = 4
const GROWING_SHARE = 0.75

export class ArrivalSample {
  readonly #everyMs: number
  readonly #keys: string[] = []
  #next = 0
  #lastMs = Number.NEGATIVE_INFINITY
  #keyBytes = 0

  constructor(everyMs: number) {
    this.#everyMs = everyMs
  }

  get bytes(): number {
    return SAMPLES * 16 + this.#keyBytes
  }

  /** A key that was not seen lately. */
  note(key: string, nowMs: number): void {
    if (nowMs - this.#lastMs < this.#everyMs) return
    this.#lastMs = nowMs
    this.#keyBytes += key.length - (this.#keys[this.#next]?.length ?? 0)
    this.#keys[this.#next] = key
    this.#next = (this.#next + 1) % SAMPLES
  }

  get isGrowing(): boolean {
    return this.#keys.length === SAMPLES && this.#isBeyond()
  }

  /** Of what is known so far: enough to know where a partition's traffic goes when it is cut, not to say so to a user. */
  get seemsGrowing(): boolean {
    return this.#keys.length >= FEW && this.#isBeyond()
  }

  #isBeyond(): boolean {
    const ordered = [...this.#keys.slice(this.#next), ...this.#keys.slice(0, this.#next)]
    const half = ordered.length >> 1
    const highest = ordered.slice(0, half).reduce((a, b) => (a > b ? a : b))
    const younger = ordered.slice(half)
    return younger.filter(key => key > highest).length >= younger.length * GROWING_SHARE
  }
}
