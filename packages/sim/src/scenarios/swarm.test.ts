import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { runSeed } from '../node-runner/run-seed.ts'
import { runStorage } from './storage.ts'
import { swarmOptions } from './swarm-options.ts'

interface Regression {
  readonly seed: number
  readonly note: string
}

const regressions = JSON.parse(
  readFileSync(new URL('../../regressions/seeds.json', import.meta.url), 'utf8'),
) as Regression[]

async function passes(seed: number): Promise<string> {
  const { verdict, violations, traceHash } = await runSeed(swarmOptions(seed))
  expect({ verdict, violations }).toEqual({ verdict: 'ok', violations: [] })
  return traceHash
}

describe('seeds that once failed', () => {
  for (const { seed, note } of regressions) it(`${seed}: ${note}`, async () => void (await passes(seed)))
})

describe('the swarm', () => {
  for (let seed = 1_001; seed <= 1_010; seed++) it(`seed ${seed}`, async () => void (await passes(seed)))

  it('gives the same trace for the same seed', async () => {
    expect(await passes(12)).toBe(await passes(12))
  })
})

describe('one store, cut, torn and flipped', () => {
  it('keeps what it said is durable', async () => {
    for (let seed = 1; seed <= 60; seed++) expect(await runStorage(seed)).toBeUndefined()
  })
})
