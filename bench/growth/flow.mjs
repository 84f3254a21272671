// What nodes have received of moved partitions, sampled while they move: in sum, and per receiver against
// what the throttle allows: so much a second, a second's worth at once, and one portion that is on its way.
import { setTimeout as pause } from 'node:timers/promises'
import { Background } from './background.mjs'

const SAMPLE_MS = 250
/** A portion is a quarter of a second's worth (core/src/movement/throttle.ts); arrivals may come late by this. */
const SLACK_SECONDS = 1.25 + 0.25

export class Flow extends Background {
  /** By node and process: [seconds, bytes]. */
  #samples = new Map()
  /** What the throttles gave, at each look. */
  #rates = []
  #cluster

  constructor(cluster) {
    super()
    this.#cluster = cluster
  }

  async end() {
    await super.end()
    await this.sample()
  }

  async step() {
    await this.sample()
    await pause(SAMPLE_MS)
  }

  async sample() {
    await Promise.all(this.#cluster.running().map(node => this.sampleOne(node)))
  }

  /** To be called before a process is killed: its count goes with it. */
  async sampleOne({ id, http, child }) {
    try {
      const text = await (await fetch(`http://${http}/metrics`)).text()
      const [, bytes] = /^quorate_move_received_bytes_total(?:\{[^}]*\})? (\d+)/m.exec(text) ?? []
      if (bytes === undefined) return
      const [, rate] = /^quorate_move_bytes_per_second(?:\{[^}]*\})? (\d+)/m.exec(text) ?? []
      this.#rates.push(Number(rate))
      const name = `${id}/${child?.pid}`
      const samples = this.#samples.get(name) ?? []
      samples.push([performance.now() / 1_000, Number(bytes)])
      this.#samples.set(name, samples)
    } catch {
      // It is being killed or not up yet; the next look tells.
    }
  }

  /** Over all nodes and all of their processes. */
  bytes() {
    let sum = 0
    for (const samples of this.#samples.values()) sum += samples.at(-1)[1] - samples[0][1]
    return sum
  }

  /** Mean of what the throttles gave, by what users felt, over the limit. */
  meanRate(limit) {
    const rates = this.#rates.map(rate => Math.min(rate, limit))
    return rates.reduce((sum, rate) => sum + rate, 0) / (limit * rates.length)
  }

  /** The most that any receiver took in any stretch of time, over what it may take: at most 1. */
  greatestShare(limit) {
    let most = 0
    for (const samples of this.#samples.values())
      for (let i = 0; i < samples.length; i++)
        for (let j = i + 1; j < samples.length; j++) {
          const [seconds, bytes] = [samples[j][0] - samples[i][0], samples[j][1] - samples[i][1]]
          most = Math.max(most, bytes / (limit * (seconds + SLACK_SECONDS)))
        }
    return most
  }
}
