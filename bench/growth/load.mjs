// Reads and writes of rows that are there, each checked: a read must show the last acknowledged write or a
// later one. Each caller has rows of its own, so it knows what they must hold.
import { setTimeout as pause } from 'node:timers/promises'

const TIMEOUT_MS = 10_000
const EXAMPLES_MAX = 5

export class CheckedLoad {
  /** By place in `rows`: the last acknowledged value, and whether a later one may be there. */
  #acknowledged
  #table
  #rows
  #callers
  #random
  #ended = false
  #running
  #phase = 'before'
  phases = new Map()
  outcomes = { reads: 0, writes: 0, refused: 0, unknown: 0 }
  lost = []
  errors = new Map()

  constructor(table, rows, callers, random) {
    this.#table = table
    this.#rows = rows
    this.#callers = callers
    this.#random = random
    this.#acknowledged = new Float64Array(rows.length)
  }

  async fill(width) {
    let next = 0
    await Promise.all(
      Array.from({ length: width }, async () => {
        while (next < this.#rows.length)
          await this.#table.put({ ...this.#rows[next++], v: 0 }, { timeoutMs: 30_000 })
      }),
    )
  }

  /** What is measured from now on belongs to this phase; one may go on later. */
  enter(phase) {
    const left = this.phases.get(this.#phase)
    if (left !== undefined) left.seconds += (performance.now() - left.since) / 1_000
    this.#phase = phase
    const known = this.phases.get(phase) ?? { seconds: 0, since: 0, latencies: [] }
    known.since = performance.now()
    this.phases.set(phase, known)
  }

  begin() {
    this.enter('before')
    this.#running = Promise.all(Array.from({ length: this.#callers }, (_, caller) => this.#call(caller)))
  }

  async end() {
    if (this.#ended) return
    this.#ended = true
    await this.#running
    this.enter('')
  }

  async #call(caller) {
    const own = Math.floor((this.#rows.length - caller - 1) / this.#callers) + 1
    for (let turn = 1; !this.#ended; turn++) {
      const at = caller + this.#callers * Math.floor(this.#random() * own)
      try {
        const found = await this.#timed(() => this.#table.get(this.#rows[at].id, { timeoutMs: TIMEOUT_MS }))
        this.outcomes.reads++
        this.#compare(at, found.siblings)
        const row = { ...this.#rows[at], v: caller * 1e9 + turn }
        await this.#timed(() => this.#table.put(row, { context: found.context, timeoutMs: TIMEOUT_MS }))
        this.#acknowledged[at] = row.v
        this.outcomes.writes++
      } catch (error) {
        if (error.outcome === 'not-applied') this.outcomes.refused++
        else this.outcomes.unknown++
        const name = `${error.code ?? error.name}: ${error.message}`.slice(0, 120)
        this.errors.set(name, (this.errors.get(name) ?? 0) + 1)
        await pause(20)
      }
    }
  }

  async #timed(run) {
    const began = performance.now()
    try {
      return await run()
    } finally {
      this.phases.get(this.#phase).latencies.push(performance.now() - began)
    }
  }

  #compare(at, siblings) {
    const least = this.#acknowledged[at]
    const most = Math.max(-1, ...siblings.map(({ v }) => v))
    if (most >= least && siblings.every(({ name }) => name === this.#rows[at].name)) return
    if (this.lost.length < EXAMPLES_MAX)
      this.lost.push(`${this.#rows[at].id} holds ${most}, ${least} was acknowledged`)
    else this.lost.push('')
  }

  /** Every row, whether it was written since or not. */
  async readBack(width) {
    let next = 0
    await Promise.all(
      Array.from({ length: width }, async () => {
        while (next < this.#rows.length) {
          const at = next++
          const { siblings } = await this.#table.get(this.#rows[at].id, { r: 'quorum', timeoutMs: 30_000 })
          this.#compare(at, siblings)
        }
      }),
    )
  }

  /** Requests a second and their latency, of one phase. */
  report(phase) {
    const { latencies, seconds } = this.phases.get(phase) ?? { latencies: [], seconds: 0 }
    const sorted = [...latencies].sort((a, b) => a - b)
    const at = share =>
      Number((sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0).toFixed(2))
    return {
      seconds: Number(seconds.toFixed(1)),
      perSecond: seconds > 0 ? Math.round(sorted.length / seconds) : 0,
      p50Ms: at(0.5),
      p99Ms: at(0.99),
    }
  }
}
