import { describe, expect, it } from 'vitest'
import type { Incarnation, NodeId } from '../base/ids.ts'
import { randomBelow, randomChance, randomPick, SeededRandom } from '../base/prng.ts'
import {
  decodeGenesis,
  encodeGenesis,
  type Genesis,
  type GenesisMessage,
  type GenesisOutput,
  type GenesisState,
  type GenesisStep,
  genesisSettled,
  startGenesis,
  stepGenesis,
} from './genesis.ts'

const NODES = ['n1', 'n2', 'n3'] as NodeId[]
const inc = (id: string, disk: number) => `${id}#${disk}` as string as Incarnation

interface Site {
  disk: number
  state: GenesisState
  /** Durable. */
  stored: Genesis | undefined
  persisting: Genesis | undefined
  outputs: GenesisOutput[]
}

class World {
  readonly sites = new Map<NodeId, Site>()
  readonly network: { from: NodeId; to: NodeId; message: GenesisMessage }[] = []
  /** Every genesis that was durable anywhere, by incarnation. */
  readonly takenBy = new Map<Incarnation, string>()

  constructor() {
    for (const id of NODES) {
      const start = startGenesis({ node: id, incarnation: inc(id, 1) }, NODES, undefined)
      this.sites.set(id, {
        disk: 1,
        state: start.state,
        stored: undefined,
        persisting: undefined,
        outputs: [],
      })
    }
  }

  take(id: NodeId, step: GenesisStep): void {
    const site = this.sites.get(id)!
    site.state = step.state
    for (const output of step.outputs) {
      site.outputs.push(output)
      if (output.kind === 'send') this.network.push({ from: id, to: output.to, message: output.message })
      else if (output.kind === 'persist') site.persisting = output.genesis
    }
  }

  tick(id: NodeId): void {
    this.take(id, stepGenesis(this.sites.get(id)!.state, { kind: 'tick' }))
  }

  sync(id: NodeId): void {
    const site = this.sites.get(id)!
    if (site.persisting === undefined) return
    site.stored = site.persisting
    site.persisting = undefined
    const before = this.takenBy.get(site.state.self.incarnation)
    expect(before ?? site.stored.clusterId, 'a store takes one genesis').toBe(site.stored.clusterId)
    this.takenBy.set(site.state.self.incarnation, site.stored.clusterId)
    this.take(id, stepGenesis(site.state, { kind: 'persisted' }))
  }

  deliver(at: number, keep: boolean): void {
    const { from, to, message } = this.network[at]!
    if (!keep) this.network.splice(at, 1)
    this.take(to, stepGenesis(this.sites.get(to)!.state, { kind: 'message', from, message }))
  }

  restart(id: NodeId, wipe: boolean): void {
    const site = this.sites.get(id)!
    if (wipe) {
      site.disk++
      site.stored = undefined
    }
    site.persisting = undefined
    this.take(id, startGenesis({ node: id, incarnation: inc(id, site.disk) }, NODES, site.stored))
  }

  settle(): void {
    for (let round = 0; round < 12; round++) {
      for (const id of NODES) this.tick(id)
      while (this.network.length > 0) this.deliver(0, false)
      for (const id of NODES) this.sync(id)
    }
    while (this.network.length > 0) this.deliver(0, false)
  }

  /** Cluster ids that a majority of the voters they name holds durably. */
  clusters(): Set<string> {
    const votes = new Map<string, number>()
    for (const [incarnation, clusterId] of this.takenBy) {
      const site = [...this.sites.values()].find(s => s.state.self.incarnation === incarnation)
      // A store that is gone cannot vote any more.
      if (site !== undefined) votes.set(clusterId, (votes.get(clusterId) ?? 0) + 1)
    }
    return new Set([...votes].filter(([, n]) => n >= 2).map(([clusterId]) => clusterId))
  }
}

describe('genesis', () => {
  it('three voters form one cluster, named by sixteen hex digits', () => {
    const world = new World()
    world.settle()
    expect(world.clusters().size).toBe(1)
    expect([...world.clusters()][0]).toMatch(/^[0-9a-f]{16}$/)
    for (const site of world.sites.values()) {
      expect(site.outputs.filter(output => output.kind === 'member')).toHaveLength(1)
      expect(genesisSettled(site.state)).toBe(true)
    }
    const { stored } = world.sites.get(NODES[0]!)!
    expect(decodeGenesis(encodeGenesis(stored!))).toEqual(stored)
  })

  it('nothing is proposed before every voter has been seen, nor sent before it is durable', () => {
    const world = new World()
    for (let round = 0; round < 3; round++) {
      world.tick(NODES[0]!)
      world.tick(NODES[1]!)
      for (let at = world.network.length - 1; at >= 0; at--) {
        if (world.network[at]!.to === NODES[2]) world.network.splice(at, 1)
      }
      while (world.network.length > 0) world.deliver(0, false)
    }
    expect(world.sites.get(NODES[0]!)!.persisting).toBeUndefined()
    // The third comes, but the proposer's disk is slow.
    for (let round = 0; round < 3; round++) {
      for (const id of NODES) world.tick(id)
      while (world.network.length > 0) world.deliver(0, false)
    }
    const proposer = world.sites.get(NODES[0]!)!
    expect(proposer.persisting).toBeDefined()
    const said = proposer.outputs.flatMap(o => (o.kind === 'send' ? [o.message] : []))
    expect(said.every(m => m.kind === 'hello' && m.genesis === undefined)).toBe(true)
  })

  it('a wiped voter is barred from forming anything and told to rejoin', () => {
    for (const wiped of NODES) {
      const world = new World()
      world.settle()
      const before = [...world.clusters()]
      world.restart(wiped, true)
      world.settle()
      const site = world.sites.get(wiped)!
      expect(site.state.outside, wiped).toMatchObject({ barred: true })
      expect(site.stored).toBeUndefined()
      expect([...world.clusters()]).toEqual(before)
    }
  })

  it('a node that is not among the voters stays outside, not barred', () => {
    const genesis = (() => {
      const world = new World()
      world.settle()
      return world.sites.get(NODES[0]!)!.stored!
    })()
    const self = { node: 'n9' as NodeId, incarnation: inc('n9', 1) }
    const start = startGenesis(self, NODES, undefined)
    const hello = { kind: 'hello' as const, incarnation: inc('n1', 1), echo: self.incarnation, genesis }
    const step = stepGenesis(start.state, { kind: 'message', from: NODES[0]!, message: hello })
    expect(step.outputs).toEqual([{ kind: 'outsider', genesis, barred: false }])
  })

  it('crashes at any step, messages doubled, late and lost: never two clusters, and one in the end', () => {
    let formed = 0
    for (let seed = 1; seed <= 1500; seed++) {
      const random = new SeededRandom(seed)
      const world = new World()
      let wipes = randomBelow(random, 2)
      const steps = 5 + randomBelow(random, 60)
      for (let step = 0; step < steps; step++) {
        const id = randomPick(random, NODES)
        const roll = randomBelow(random, 20)
        if (roll < 5) world.tick(id)
        else if (roll < 9) world.sync(id)
        else if (roll < 18) {
          if (world.network.length > 0) {
            world.deliver(randomBelow(random, world.network.length), randomChance(random, 0.2))
          }
        } else if (roll === 18) world.restart(id, false)
        else if (wipes > 0) {
          wipes--
          world.restart(id, true)
        }
        expect(world.clusters().size, `seed ${seed}`).toBeLessThanOrEqual(1)
      }
      world.settle()
      expect(world.clusters().size, `seed ${seed}`).toBeLessThanOrEqual(1)
      const conflict = [...world.sites.values()].some(site => site.outputs.some(o => o.kind === 'conflict'))
      if (world.clusters().size === 1) formed++
      // No cluster at the end is only right when someone says why.
      else {
        const barred = [...world.sites.values()].some(site => site.state.outside?.barred === true)
        expect(conflict || barred, `seed ${seed}`).toBe(true)
      }
    }
    expect(formed).toBeGreaterThan(1400)
  })
})
