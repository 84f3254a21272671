import { describe, expect, it } from 'vitest'
import type { NodeId } from '../base/ids.ts'
import { randomChance, randomUnit, SeededRandom } from '../base/prng.ts'
import type { Clock } from '../ports/clock.ts'
import { ManualClock } from '../ports/testing/manual-clock.ts'
import type { GossipMessage } from './gossip-state.ts'
import { Membership } from './membership.ts'

class World {
  readonly clock = new ManualClock()
  readonly random: SeededRandom
  readonly nodes = new Map<NodeId, Membership>()
  readonly ids: NodeId[]
  /** Directed links that carry nothing. */
  readonly cut = new Set<string>()
  loss = 0
  /** A stalled process: nothing of it runs until then. */
  readonly stalledUntilMs = new Map<NodeId, number>()

  constructor(
    seed: number,
    count: number,
    options: { start?: boolean; deltaBytesMax?: number; graceMs?: number } = {},
  ) {
    this.random = new SeededRandom(seed)
    this.ids = Array.from({ length: count }, (_, i) => `n${String(i + 1).padStart(2, '0')}` as NodeId)
    for (const id of this.ids) this.boot(id, 1, options)
  }

  boot(
    id: NodeId,
    generation: number,
    options: { deltaBytesMax?: number; graceMs?: number } = {},
  ): Membership {
    const clock: Clock = {
      wallMs: () => this.clock.wallMs(),
      monotonicMs: () => this.clock.monotonicMs(),
      defer: run => this.clock.defer(run),
      setTimer: (ms, run) => this.clock.setTimer(ms, () => this.awake(id, run)),
    }
    const node: Membership = new Membership({
      self: id,
      generation,
      clock,
      random: this.random.fork(),
      network: { send: (to, message) => this.send(id, to, message) },
      ...(options.deltaBytesMax === undefined ? {} : { deltaBytesMax: options.deltaBytesMax }),
      ...(options.graceMs === undefined ? {} : { tombstoneGraceMs: options.graceMs }),
    })
    node.setMembers(this.ids)
    this.nodes.get(id)?.stop()
    this.nodes.set(id, node)
    node.start()
    return node
  }

  node(index: number): Membership {
    return this.nodes.get(this.ids[index]!)!
  }

  run(ms: number): void {
    this.clock.advance(ms)
  }

  /** Runs now, or when the stall is over. */
  awake(id: NodeId, run: () => void): void {
    const left = (this.stalledUntilMs.get(id) ?? 0) - this.clock.monotonicMs()
    if (left > 0) this.clock.setTimer(left, run)
    else run()
  }

  send(from: NodeId, to: NodeId, message: GossipMessage): void {
    if (this.cut.has(from) || this.cut.has(to) || randomChance(this.random, this.loss)) return
    this.clock.setTimer(1 + randomUnit(this.random) * 20, () =>
      this.awake(to, () => {
        if (!this.cut.has(to)) this.nodes.get(to)?.receive(from, message)
      }),
    )
  }
}

describe('membership', () => {
  it('brings one change to 20 nodes in O(log n) rounds', () => {
    for (let seed = 1; seed <= 10; seed++) {
      const world = new World(seed, 20)
      world.run(20_000)
      world.node(0).set('load', 42)
      let rounds = 0
      const knows = () =>
        world.ids.filter(id => world.nodes.get(id)!.get(world.ids[0]!, 'load') === 42).length
      while (knows() < 20 && rounds < 30) {
        world.run(1_000)
        rounds++
      }
      expect(rounds, `seed ${seed}`).toBeLessThanOrEqual(10)
    }
  })

  it('suspects nobody while all is well, also with loss', () => {
    const world = new World(3, 20)
    world.loss = 0.05
    world.run(15_000)
    for (let second = 0; second < 120; second++) {
      world.run(1_000)
      for (const a of world.ids)
        for (const b of world.ids) expect(world.nodes.get(a)!.isSuspected(b), `${a} ${b}`).toBe(false)
    }
  })

  it('suspects a dead node within bounded time, and trusts it again when it is back', () => {
    for (const count of [3, 20]) {
      const world = new World(4, count)
      world.run(60_000)
      const dead = world.ids[1]!
      world.cut.add(dead)
      world.run(20_000)
      for (const id of world.ids) if (id !== dead) expect(world.nodes.get(id)!.isSuspected(dead)).toBe(true)
      for (const id of world.ids) {
        if (id !== dead) expect(world.node(0).isSuspected(id)).toBe(false)
      }
      world.cut.delete(dead)
      world.run(15_000)
      for (const id of world.ids) expect(world.nodes.get(id)!.isSuspected(dead)).toBe(false)
    }
  })

  it('a slow observer accuses nobody: its own standstill is not their silence', () => {
    const world = new World(5, 5)
    world.run(60_000)
    const slow = world.ids[0]!
    const observer = world.node(0)
    world.stalledUntilMs.set(slow, world.clock.monotonicMs() + 30_000)
    world.run(29_999)
    // Asked before its own late timer ran: the overdue timer alone must be enough.
    expect(observer.suspicionMultiplier()).toBe(8)
    let accused = 0
    for (let i = 0; i < 200; i++) {
      world.run(50)
      accused += observer.peers().filter(peer => observer.isSuspected(peer)).length
    }
    expect(accused).toBe(0)
    world.run(60_000)
    expect(observer.suspicionMultiplier()).toBeLessThan(1.5)
  })

  it('a restart with the same id is a new generation: old keys go, listeners hear it', () => {
    const world = new World(6, 4)
    const [first, second] = [world.node(0), world.ids[1]!]
    world.node(1).set('role', 'old')
    world.node(1).set('only-old', 1)
    world.run(15_000)
    const heard: string[] = []
    first.onChange((node, key, value) => heard.push(`${node} ${key}=${value}`))
    world.boot(second, 2).set('role', 'new')
    world.run(15_000)
    expect(first.get(second, 'role')).toBe('new')
    expect(first.get(second, 'only-old')).toBeUndefined()
    expect(first.generationOf(second)).toBe(2)
    expect(heard).toContain(`${second} role=new`)
    expect(heard).toContain(`${second} only-old=undefined`)
    expect(first.isSuspected(second)).toBe(false)
  })

  it('a deleted key does not come back from a node that slept past the collection', () => {
    for (let seed = 1; seed <= 10; seed++) {
      const world = new World(seed, 5, { graceMs: 10_000 })
      const [owner, sleeper] = [world.ids[0]!, world.ids[4]!]
      world.node(0).set('keep', 1)
      world.node(0).set('gone', 1)
      world.run(15_000)
      world.cut.add(sleeper)
      world.node(0).delete('gone')
      world.run(60_000)
      world.node(0).set('later', 1)
      world.cut.delete(sleeper)
      world.run(40_000)
      for (const id of world.ids) {
        expect(world.nodes.get(id)!.get(owner, 'gone'), `seed ${seed} ${id}`).toBeUndefined()
        expect(world.nodes.get(id)!.get(owner, 'keep')).toBe(1)
        expect(world.nodes.get(id)!.get(owner, 'later')).toBe(1)
      }
    }
  })

  it('converges through deltas cut to a small size', () => {
    const world = new World(8, 4, { deltaBytesMax: 300 })
    for (let i = 0; i < 60; i++) world.node(0).set(`key${i}`, i)
    world.run(60_000)
    for (let i = 0; i < 60; i++) expect(world.node(3).get(world.ids[0]!, `key${i}`)).toBe(i)
  })

  it('ignores who is no member, and forgets who is no member any more', () => {
    const world = new World(9, 3)
    const [first, , third] = world.ids as [NodeId, NodeId, NodeId]
    world.node(2).set('load', 1)
    world.run(15_000)
    world.node(0).setMembers([first, world.ids[1]!])
    expect(world.node(0).peers()).toEqual([world.ids[1]])
    world.run(15_000)
    expect(world.node(0).get(third, 'load')).toBeUndefined()
    expect(world.node(0).isSuspected(third)).toBe(true)
  })
})
