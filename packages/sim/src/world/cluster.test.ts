import { table } from '@quorate/client/pure'
import { defaultTuning } from '@quorate/core'
import { expect, test } from 'vitest'
import { drain } from '../node-runner/drain.ts'
import { SimCluster } from './sim-cluster.ts'
import { Simulation } from './simulation.ts'

const rows = table<{ k: string; v: string }>('rows', { key: 'k' })

async function firstSteps(seed: number, lines?: string[]): Promise<{ hash: string; read: unknown }> {
  const simulation = new Simulation({ seed, drain, line: line => lines?.push(line) })
  const tuning = { ...defaultTuning, gossipIntervalMs: 300, tokensPerNode: 2, randomTokens: true }
  const cluster = new SimCluster(simulation, { nodes: 3, zones: 3, tuning, storeLimits: {} })
  cluster.start()
  const { client } = cluster.newClient('c1')
  let read: unknown
  let error: unknown
  const work = async (): Promise<void> => {
    await client.ready({ timeoutMs: 20_000 })
    await client.createTable('rows', { key: 'k' })
    await client.table(rows).put({ k: 'a', v: '1' })
    read = (await client.table(rows).get('a')).value
  }
  work().catch((cause: unknown) => {
    error = cause
  })
  await simulation.run(30_000, () => read !== undefined || error !== undefined)
  if (simulation.failure !== undefined) throw simulation.failure.error
  if (error !== undefined) throw error
  return { hash: simulation.traceHash, read }
}

test('three nodes form a cluster; a row written is read back', async () => {
  expect((await firstSteps(1)).read).toEqual({ k: 'a', v: '1' })
})

test('the same seed gives the same trace, another seed another', async () => {
  const [first, again, other] = [await firstSteps(7), await firstSteps(7), await firstSteps(8)]
  expect(again.hash).toBe(first.hash)
  expect(other.hash).not.toBe(first.hash)
})
