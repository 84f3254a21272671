/**
 * A live cluster under hostile frames: every kind of request that nodes and clients really send is
 * recorded, mutated and sent by a stranger. No node may stop, and an honest client's work goes on.
 */

import { table } from '@quorate/client/pure'
import { defaultTuning, isQuorateError, type PeerId, randomBelow, SeededRandom } from '@quorate/core'
import { expect, test } from 'vitest'
import { drain } from './node-runner/drain.ts'
import { MachineTime } from './world/machine-time.ts'
import { SimCluster } from './world/sim-cluster.ts'
import { Simulation } from './world/simulation.ts'

const rows = table<{ k: string; v: number }>('rows', { key: 'k' })
const KIND_REQUEST = 0
const KIND_ONE_WAY = 3
const PER_TYPE = 40

function mutate(random: SeededRandom, frame: Uint8Array): Uint8Array {
  const out = frame.slice()
  // The envelope stays: what is attacked is the body behind it.
  const first = Math.min(8, out.length - 1)
  for (let i = 1 + randomBelow(random, 3); i > 0; i--) {
    const at = first + randomBelow(random, out.length - first)
    out[at] = random.uint32() & 255
  }
  return randomBelow(random, 6) === 0 ? out.slice(0, 1 + randomBelow(random, out.length)) : out
}

test.each([1, 2, 3])('mutated requests of every type harm nothing (seed %i)', async seed => {
  const simulation = new Simulation({ seed, drain })
  const random = new SeededRandom(seed)
  const seen = new Map<number, Uint8Array[]>()
  const tuning = {
    ...defaultTuning,
    gossipIntervalMs: 300,
    sweepIntervalMs: 400,
    collectIntervalMs: 700,
    tokensPerNode: 2,
  }
  const cluster = new SimCluster(
    simulation,
    { nodes: 3, zones: 3, tuning, storeLimits: {} },
    {
      onDeliver: (from, _, frame) => {
        if (from === ('stranger' as PeerId) || (frame[0] !== KIND_REQUEST && frame[0] !== KIND_ONE_WAY))
          return
        const type = typeOf(frame)
        const frames = seen.get(type) ?? []
        seen.set(type, frames)
        if (frames.length < PER_TYPE) frames.push(frame.slice())
        else frames[randomBelow(random, PER_TYPE)] = frame.slice()
      },
    },
  )
  cluster.start()
  const { client } = cluster.newClient('c1')
  const stranger = cluster.network.attach('stranger' as PeerId, new MachineTime(simulation, 500))
  stranger.serve({ frame: () => {}, unreachable: () => {} })
  for (const machine of cluster.machines) stranger.route(machine.peer, `${machine.id}:7000`)

  let done = 0
  let failure: unknown
  let sent = 0
  let good = 0
  const refused: string[] = []
  const work = async (): Promise<void> => {
    await client.ready({ timeoutMs: 20_000 })
    await client.createTable('rows', { key: 'k', replication: { n: 3, sloppy: true } })
    for (let i = 0; i < 120; i++) {
      const k = `k${i % 20}`
      try {
        if (i % 7 === 6) await client.table(rows).delete(k, { timeoutMs: 20_000 })
        else await client.table(rows).put({ k, v: i }, { timeoutMs: 20_000 })
        await client.table(rows).get(k, { timeoutMs: 20_000 })
        good++
      } catch (error) {
        if (!isQuorateError(error)) throw error
        refused.push(`${error.code}: ${error.message}`)
      }
      for (const frames of seen.values()) {
        for (let n = 0; n < 6; n++) {
          stranger.send(
            cluster.machines[randomBelow(random, 3)]!.peer,
            mutate(random, frames[randomBelow(random, frames.length)]!),
          )
          sent++
        }
      }
      done++
    }
  }
  work().catch((error: unknown) => {
    failure = error
  })
  await simulation.run(300_000, () => done === 120 || failure !== undefined)
  expect(simulation.failure?.error).toBeUndefined()
  expect(failure).toBeUndefined()
  expect(done).toBe(120)
  expect(refused).toEqual([])
  expect(good).toBe(120)
  expect(seen.size).toBeGreaterThanOrEqual(9)
  expect(sent).toBeGreaterThan(5_000)
})

test.each([4, 5])('requests garbled between members stop no node (seed %i)', async seed => {
  const simulation = new Simulation({ seed, drain })
  const random = new SeededRandom(seed)
  let garbled = 0
  const tuning = {
    ...defaultTuning,
    gossipIntervalMs: 300,
    sweepIntervalMs: 400,
    collectIntervalMs: 700,
    tokensPerNode: 2,
  }
  const cluster = new SimCluster(
    simulation,
    { nodes: 3, zones: 3, tuning, storeLimits: {} },
    {
      onDeliver: (_, __, frame) => {
        if (
          (frame[0] !== KIND_REQUEST && frame[0] !== KIND_ONE_WAY) ||
          simulation.nowUs < 1_500_000 ||
          randomBelow(random, 10) > 0
        )
          return
        frame.set(mutate(random, frame).subarray(0, frame.length))
        garbled++
      },
    },
  )
  cluster.start()
  const { client } = cluster.newClient('c1')
  let rounds = 0
  const work = async (): Promise<void> => {
    await client.ready({ timeoutMs: 20_000 })
    await client.createTable('rows', { key: 'k', replication: { n: 3, sloppy: true } })
    for (; rounds < 400; rounds++) {
      // What comes of it is not promised when members lie to each other; that nobody stops is.
      await client
        .table(rows)
        .put({ k: `k${rounds % 20}`, v: rounds }, { timeoutMs: 500 })
        .catch(refusedOnly)
      await client
        .table(rows)
        .get(`k${rounds % 20}`, { timeoutMs: 500 })
        .catch(refusedOnly)
    }
  }
  let failure: unknown
  work().catch((error: unknown) => {
    failure = error
  })
  await simulation.run(300_000, () => rounds === 400 || failure !== undefined)
  expect(simulation.failure?.error).toBeUndefined()
  expect(failure).toBeUndefined()
  expect(rounds).toBe(400)
  expect(garbled).toBeGreaterThan(50)
})

function refusedOnly(error: unknown): void {
  if (!isQuorateError(error)) throw error
}

/** Call ids are LEB128. */
function typeOf(frame: Uint8Array): number {
  let at = 1
  while (frame[at]! >= 128) at++
  return frame[at + 1]!
}
