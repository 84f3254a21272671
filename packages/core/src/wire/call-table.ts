/**
 * What waits for an answer, by call id.
 *
 * Problem: a `Map` that loses as much as it gains is made anew every so often, and V8 links each outgrown
 * table to the next, for walks under way. Once one of them has reached the old generation, all that follow
 * it survive every collection of the young, with the calls they held, until the next full one: a third of
 * what a busy client allocates was kept that way. Mechanism: ids are handed out in sequence, so a ring of
 * slots is enough; the slot of an id is its low bits. An id whose slot is still taken is passed over.
 *
 * Invariants: a call is in the slot of its id; at least half of the slots are free.
 */

const SLOTS_FIRST = 256

export class CallTable<Call extends { readonly id: number }> {
  #slots: (Call | undefined)[] = new Array(SLOTS_FIRST).fill(undefined)
  #size = 0
  #nextId: number

  constructor(firstId: number) {
    this.#nextId = firstId
  }

  get size(): number {
    return this.#size
  }

  /** For the call that is added next. */
  takeId(): number {
    while (this.#slots[this.#slot(this.#nextId)] !== undefined) this.#nextId++
    return this.#nextId++
  }

  #slot(id: number): number {
    return id & (this.#slots.length - 1)
  }

  add(call: Call): void {
    this.#slots[this.#slot(call.id)] = call
    if (2 * ++this.#size > this.#slots.length) this.#grow()
  }

  #grow(): void {
    const calls = this.all()
    this.#slots = new Array(2 * this.#slots.length).fill(undefined)
    for (const call of calls) this.#slots[this.#slot(call.id)] = call
  }

  get(id: number): Call | undefined {
    const call = this.#slots[this.#slot(id)]
    return call?.id === id ? call : undefined
  }

  delete(id: number): void {
    if (this.get(id) === undefined) return
    this.#slots[this.#slot(id)] = undefined
    this.#size--
  }

  /** In the order of their ids. */
  all(): Call[] {
    return this.#slots.filter(call => call !== undefined).sort((a, b) => a.id - b.id)
  }

  clear(): void {
    this.#slots.fill(undefined)
    this.#size = 0
  }
}
