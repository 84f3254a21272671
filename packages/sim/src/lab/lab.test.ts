/** Every setting does what it is expected to, under several seeds, and the same twice; checkers catch and pass. */

import { expect, test } from 'vitest'
import { drain } from '../node-runner/drain.ts'
import {
  cartAsMeant,
  causeBeforeEffect,
  DELETED,
  fewSiblings,
  lastWordCounts,
  monotonicReads,
  nothingLost,
  oneTaker,
  ownOnly,
  readYourWrites,
  replicasAgree,
  staysDeleted,
  withinRegion,
} from './checkers.ts'
import { runSetting } from './run-setting.ts'
import { scenarios } from './scenarios.ts'
import { type LabEvent, type LabWrite, timeText } from './timeline.ts'

for (const scenario of scenarios) {
  test.each(scenario.settings)(`${scenario.name}, $label: $expected, whatever the seed`, async setting => {
    for (const seed of [1, 2, 3, 4, 5]) {
      const found = await runSetting(scenario, setting, { seed, drain })
      expect(found, JSON.stringify(found, null, 1)).toMatchObject({
        verdict: setting.expected,
        asExpected: true,
      })
    }
  })

  test(`${scenario.name}: one setting breaks and one holds, and the timeline is a function of the seed`, async () => {
    const expected = new Set(scenario.settings.map(setting => setting.expected))
    expect([...expected].sort()).toEqual(['broken', 'holds'])
    const run = () => runSetting(scenario, scenario.settings[0]!, { seed: 7, drain })
    expect(await run()).toEqual(await run())
  })
}

test('split-brain begins when the node that is cut off has heard of the table (seed 180: it had not)', async () => {
  const { scenario, setting } = findSetting('split-brain', 'w1-r1')
  expect(await runSetting(scenario, setting, { seed: 180, drain })).toMatchObject({ verdict: 'broken' })
})

function findSetting(name: string, label: string) {
  const scenario = scenarios.find(one => one.name === name)!
  return { scenario, setting: scenario.settings.find(one => one.label === label)! }
}

const write = (who: string, version: number, callMs: number, returnMs: number): LabEvent => ({
  kind: 'write',
  who,
  key: 'k',
  version,
  callMs,
  returnMs,
  outcome: 'acknowledged',
})
const read = (who: string, version: number | undefined, callMs: number, returnMs: number): LabEvent => ({
  kind: 'read',
  who,
  key: 'k',
  version,
  callMs,
  returnMs,
})

test('readYourWrites: only own, acknowledged writes that ended before the read count', () => {
  expect(readYourWrites([write('a', 1, 0, 5), read('a', undefined, 6, 7)]).verdict).toBe('broken')
  expect(readYourWrites([write('a', 2, 0, 5), read('a', 1, 6, 7)]).verdict).toBe('broken')
  expect(readYourWrites([write('a', 1, 0, 5), read('a', 2, 6, 7)]).verdict).toBe('holds')
  const others = [write('a', 1, 0, 5), read('a', 1, 6, 7), write('b', 2, 0, 5), read('a', 1, 6, 7)]
  expect(readYourWrites(others).verdict).toBe('holds')
  const overlapping = [write('a', 1, 0, 5), read('a', 1, 6, 7), read('a', undefined, 3, 9)]
  expect(readYourWrites(overlapping).verdict).toBe('holds')
})

test('monotonicReads: going back is broken, by the same reader only', () => {
  expect(monotonicReads([read('a', 1, 0, 1), read('a', undefined, 2, 3)]).verdict).toBe('broken')
  expect(monotonicReads([read('a', 1, 0, 1), read('a', 2, 2, 3)]).verdict).toBe('holds')
  const two = [read('a', 2, 0, 1), read('b', 1, 2, 3), read('a', 2, 4, 5)]
  expect(monotonicReads(two).verdict).toBe('holds')
})

test('withinRegion: one slow write is enough', () => {
  expect(withinRegion(80)([write('a', 1, 0, 79)]).verdict).toBe('holds')
  expect(withinRegion(80)([write('a', 1, 0, 2), write('a', 2, 3, 83)]).verdict).toBe('broken')
})

test('causeBeforeEffect: only who found the effect, and looks for the cause afterwards', () => {
  const check = causeBeforeEffect('q', 'a')
  const at = (who: string, key: string, version: number | undefined, callMs: number): LabEvent => ({
    kind: 'read',
    who,
    key,
    version,
    callMs,
    returnMs: callMs + 1,
  })
  expect(check([at('c', 'a', 1, 0), at('c', 'q', undefined, 2)]).verdict).toBe('broken')
  expect(check([at('c', 'a', 1, 0), at('c', 'q', 1, 2)]).verdict).toBe('holds')
  const nothing = [at('c', 'a', undefined, 0), at('c', 'q', undefined, 2), at('d', 'a', 1, 4)]
  expect(check(nothing).verdict).toBe('undecided')
  expect(check([at('c', 'q', undefined, 0), at('c', 'a', 1, 2)]).verdict).toBe('undecided')
})

test('replicasAgree: two reads of one key that differ', () => {
  expect(replicasAgree([read('a', 1, 0, 1), read('a', 1, 2, 3)]).verdict).toBe('holds')
  expect(replicasAgree([read('a', 1, 0, 1), read('b', 2, 2, 3)]).verdict).toBe('broken')
})

test('nothingLost: what was acknowledged and is not in the table is lost, also when the ledger has it', () => {
  const final = (rows: readonly number[], ledger: readonly number[] = []): LabEvent => ({
    kind: 'final',
    rows: rows.map(version => ({ key: 'k', version })),
    ledger: ledger.map(version => ({ key: 'k', version, node: 'n1' })),
  })
  expect(nothingLost([write('a', 1, 0, 5), final([1])]).verdict).toBe('holds')
  expect(nothingLost([write('a', 1, 0, 5), final([2])]).verdict).toBe('holds')
  expect(nothingLost([write('a', 2, 0, 5), final([1])]).verdict).toBe('broken')
  const kept = nothingLost([write('a', 1, 0, 5), final([], [1])])
  expect(kept.verdict).toBe('broken')
  expect(kept.evidence.at(-1)).toContain('but in the ledger of n1')
  expect(nothingLost([write('a', 1, 0, 5), final([])]).evidence.at(-1)).toContain('nor in any ledger')
  const unknown: LabEvent = { ...(write('a', 1, 0, 5) as LabWrite), outcome: 'unknown' }
  expect(nothingLost([unknown, final([])]).verdict).toBe('undecided')
  expect(nothingLost([write('a', 1, 0, 5)]).verdict).toBe('undecided')
})

test('ownOnly: what another put there is broken, nothing at all is not', () => {
  const shown = (owner: string | undefined): LabEvent => ({
    kind: 'shown',
    who: 'a',
    number: '1',
    owner,
    atMs: 1,
  })
  expect(ownOnly([shown('a'), shown(undefined)]).verdict).toBe('holds')
  expect(ownOnly([shown('a'), shown('b')]).verdict).toBe('broken')
})

test('oneTaker: two who were told that they have it, or a later reader who was told that it is free', () => {
  const [ann, bob] = [write('a', 1, 0, 5), write('b', 2, 6, 9)]
  expect(oneTaker([ann, bob]).verdict).toBe('broken')
  expect(oneTaker([ann, write('a', 2, 6, 9), read('b', 1, 6, 7)]).verdict).toBe('holds')
  expect(oneTaker([ann, read('b', undefined, 6, 7)]).verdict).toBe('broken')
  expect(oneTaker([ann, read('b', undefined, 4, 7)]).verdict).toBe('undecided')
  const refused: LabEvent = { ...(bob as LabWrite), outcome: 'refused' }
  expect(oneTaker([ann, refused, read('b', 1, 10, 11)]).verdict).toBe('holds')
})

test('a run in which nothing was compared proves nothing: neither way', () => {
  for (const check of [
    readYourWrites,
    monotonicReads,
    withinRegion(80),
    causeBeforeEffect('q', 'a'),
    replicasAgree,
    nothingLost,
    ownOnly,
    oneTaker,
  ])
    expect(check([]).verdict).toBe('undecided')
})

test('times are told in minutes, seconds and milliseconds', () => {
  expect(timeText(120.9)).toBe('00:00.120')
  expect(timeText(61_005)).toBe('01:01.005')
})

const change = (deed: 'puts in' | 'takes out', item: string, callMs: number, returnMs: number): LabEvent => ({
  kind: 'cart-change',
  who: 'a',
  deed,
  item,
  callMs,
  returnMs,
})
const cart = (...items: string[]): LabEvent => ({ kind: 'cart', items })

test('cartAsMeant: the later word counts, and of two at once that of who puts in', () => {
  const inThenOut = [change('puts in', 'milk', 0, 1), change('takes out', 'milk', 2, 3)]
  expect(cartAsMeant([...inThenOut, cart()]).verdict).toBe('holds')
  expect(cartAsMeant([...inThenOut, cart('milk')]).verdict).toBe('broken')
  const atOnce = [change('puts in', 'milk', 0, 5), change('takes out', 'milk', 1, 4)]
  expect(cartAsMeant([...atOnce, cart('milk')]).verdict).toBe('holds')
  expect(cartAsMeant([...atOnce, cart()]).verdict).toBe('broken')
  expect(cartAsMeant(inThenOut).verdict).toBe('undecided')
})

test('lastWordCounts: an earlier write found after a later one is broken', () => {
  const writes = [write('a', 1, 0, 5), write('b', 2, 6, 7)]
  expect(lastWordCounts([...writes, read('c', 2, 8, 9)]).verdict).toBe('holds')
  expect(lastWordCounts([...writes, read('c', 1, 8, 9)]).verdict).toBe('broken')
  expect(lastWordCounts([...writes, read('c', undefined, 8, 9)]).verdict).toBe('broken')
})

test('staysDeleted: what was deleted before a read began is not found by it', () => {
  const deleted = [write('a', 1, 0, 1), write('a', DELETED, 2, 3)]
  expect(staysDeleted([...deleted, read('b', undefined, 4, 5)]).verdict).toBe('holds')
  expect(staysDeleted([...deleted, read('b', 1, 4, 5)]).verdict).toBe('broken')
  expect(staysDeleted([...deleted, read('b', 1, 2, 5)]).verdict).toBe('undecided')
})

test('fewSiblings: many values, or a refused write, are broken', () => {
  const pile = (values: number, refused = false): LabEvent => ({
    kind: 'pile',
    who: 'job',
    values,
    refused,
    atMs: 0,
  })
  expect(fewSiblings(2)([pile(1), pile(2)]).verdict).toBe('holds')
  expect(fewSiblings(2)([pile(3)]).verdict).toBe('broken')
  expect(fewSiblings(2)([pile(1, true)]).verdict).toBe('broken')
})
