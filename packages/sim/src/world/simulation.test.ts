import type { PeerId } from '@quorate/core'
import { SeededRandom } from '@quorate/core'
import { clockConformance, transportConformance } from '@quorate/core/conformance'
import { describe, expect, it } from 'vitest'
import { drain } from '../node-runner/drain.ts'
import { MachineTime, ProcessClock } from './machine-time.ts'
import { SimNetwork } from './sim-network.ts'
import { Simulation } from './simulation.ts'

const simulation = (seed = 1): Simulation => new Simulation({ seed, drain })

for (const { name, run } of clockConformance) {
  it(`ProcessClock: ${name}`, () =>
    run(async () => {
      const world = simulation()
      const machine = new MachineTime(world)
      return { clock: new ProcessClock(machine), pass: async ms => void (await world.run(world.nowMs + ms)) }
    }))
}

for (const { name, run } of transportConformance) {
  it(`SimNetwork: ${name}`, () =>
    run(async () => {
      const world = simulation()
      const network = new SimNetwork({ random: new SeededRandom(3) })
      const peers = ['a', 'b', 'c'] as PeerId[]
      for (const peer of peers) network.listen(peer, `${peer}:1`)
      const ends = peers.map(peer => ({ peer, transport: network.attach(peer, new MachineTime(world)) }))
      for (const { transport } of ends) for (const peer of peers) transport.route(peer, `${peer}:1`)
      return {
        ends,
        settle: async () => void (await world.run(world.nowMs + 500)),
        stop: async peer => network.detach(peer),
        dispose: async () => {},
      }
    }))
}

describe('Simulation', () => {
  it('runs events by time, then in the order they were made, and promises in between', async () => {
    const world = simulation()
    const seen: string[] = []
    world.at(2_000, () => seen.push('c'))
    world.at(1_000, () => {
      seen.push('a')
      Promise.resolve()
        .then(() => seen.push('promise of a'))
        .then(() => seen.push('and its promise'))
    })
    world.at(1_000, () => seen.push('b'))
    await world.run(10)
    expect(seen).toEqual(['a', 'b', 'promise of a', 'and its promise', 'c'])
    expect(world.nowMs).toBe(10)
  })

  it('ends with the first exception', async () => {
    const world = simulation()
    world.at(1_000, () => {
      throw new Error('first')
    })
    world.at(2_000, () => expect.unreachable())
    expect(await world.run(10)).toBe(false)
    expect(String(world.failure?.error)).toContain('first')
  })
})

describe('MachineTime', () => {
  it('holds what falls due in a pause, and delivers it in order', async () => {
    const world = simulation()
    const machine = new MachineTime(world)
    const seen: number[] = []
    machine.setTimer(5, () => seen.push(1))
    machine.setTimer(6, () => seen.push(2))
    machine.pause()
    await world.run(50)
    expect(seen).toEqual([])
    machine.resume()
    await world.run(51)
    expect(seen).toEqual([1, 2])
  })

  it('fires by its own clock when it drifts, and never early', async () => {
    const world = simulation()
    const machine = new MachineTime(world)
    machine.setRate(0.5)
    let firedMs = -1
    machine.setTimer(10, () => {
      firedMs = world.nowMs
    })
    await world.run(30)
    expect(firedMs).toBe(20)
  })

  it('drops the timers of a process that has died', async () => {
    const world = simulation()
    const machine = new MachineTime(world)
    const clock = new ProcessClock(machine)
    clock.setTimer(5, () => expect.unreachable())
    clock.defer(() => expect.unreachable())
    clock.kill()
    await world.run(20)
  })
})

describe('SimNetwork', () => {
  const two = () => {
    const world = simulation()
    const network = new SimNetwork({ random: new SeededRandom(5) })
    network.listen('b' as PeerId, 'b:1')
    const a = network.attach('a' as PeerId, new MachineTime(world))
    const b = network.attach('b' as PeerId, new MachineTime(world))
    const heard: number[] = []
    const lost: string[] = []
    a.serve({ frame: () => {}, unreachable: peer => lost.push(peer) })
    b.serve({ frame: (_, frame) => heard.push(frame[0]!), unreachable: () => {} })
    a.route('b' as PeerId, 'b:1')
    return { world, network, a, heard, lost }
  }

  it('keeps the order of a link unless reordering is on', async () => {
    const { world, a, heard } = two()
    for (let i = 0; i < 50; i++) a.send('b' as PeerId, Uint8Array.of(i))
    await world.run(100)
    expect(heard).toEqual(Array.from({ length: 50 }, (_, i) => i))
  })

  it('cuts one direction, tells the sender, and heals', async () => {
    const { world, network, a, heard, lost } = two()
    network.cut('a', 'b')
    a.send('b' as PeerId, Uint8Array.of(1))
    await world.run(100)
    expect([heard, lost]).toEqual([[], ['b']])
    network.heal('a', 'b')
    a.send('b' as PeerId, Uint8Array.of(2))
    await world.run(200)
    expect(heard).toEqual([2])
  })

  it('loses, doubles and reorders as told', async () => {
    const { world, network, a, heard } = two()
    Object.assign(network.conditions, { loss: 0.3, duplication: 0.3, reordering: 0.5 })
    for (let i = 0; i < 100; i++) a.send('b' as PeerId, Uint8Array.of(i))
    await world.run(1_000)
    const distinct = new Set(heard)
    expect(distinct.size).toBeLessThan(100)
    expect(heard.length).toBeGreaterThan(distinct.size)
    expect(heard).not.toEqual([...heard].sort((x, y) => x - y))
  })

  it('notices a sender that changes a frame it has sent', async () => {
    const { world, a } = two()
    const frame = Uint8Array.of(1, 2, 3)
    a.send('b' as PeerId, frame)
    frame[0] = 9
    await world.run(100)
    expect(String(world.failure?.error)).toContain('not changed after it was sent')
  })
})
