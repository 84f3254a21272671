/** `cluster auto`: what is asked of the admin interface, and what is said of it. */

import type { AutoDocument } from '@quorate/server'
import { expect, it } from 'vitest'
import type { CommandContext } from '../command-context.ts'
import { autoText } from '../output/auto-text.ts'
import { Output } from '../output/output.ts'
import { makeStyle } from '../output/style.ts'
import { type AutoOptions, clusterAuto } from './auto.ts'

const auto: AutoDocument = {
  isOn: true,
  policy: { by: 'load', above: 1.5, below: 1.2, everyMs: 7_200_000, bytesMax: 2 ** 30 },
  phase: 'resting',
  lastMs: 0,
  lastPlan: '',
  says: 'the greatest is 1.30 times the mean',
}

async function asked(
  verb: 'on' | 'off' | undefined,
  options: AutoOptions,
  known: AutoDocument | null = auto,
) {
  const out: string[] = []
  const given: unknown[] = []
  const side = { isTerminal: false, style: makeStyle(false), write: (text: string) => void out.push(text) }
  const admin = {
    cluster: async () => ({ auto: known }),
    switchAuto: async (...args: unknown[]) => {
      given.push(args)
      return { auto: { ...auto, isOn: verb === 'on' } }
    },
  }
  const output = new Output({ out: side, error: { ...side, write: () => undefined } }, 'json')
  const access = { admin: async () => admin }
  const code = await clusterAuto({ access, output, words: [] } as unknown as CommandContext, verb, options)
  return { code, given, shown: JSON.parse(out.join('')) }
}

it('on sends what was said and nothing else; the rest is as usual', async () => {
  const { code, given, shown } = await asked('on', { by: 'load', above: 1.5, every: 7_200_000 })
  expect(given).toEqual([[true, { by: 'load', above: 1.5, everyMs: 7_200_000 }]])
  expect([code, shown]).toEqual([0, { kind: 'auto', items: [auto], warnings: [], partial: false }])
})

it('off sends no policy, and takes none', async () => {
  expect((await asked('off', {})).given).toEqual([[false, {}]])
  await expect(asked('off', { below: 1.1 })).rejects.toMatchObject({ exitCode: 2 })
})

it('without a verb it is shown and nothing is changed', async () => {
  const { given, shown } = await asked(undefined, {})
  expect([given, shown.items]).toEqual([[], [auto]])
  expect((await asked(undefined, {}, null)).shown.items).toEqual([])
  await expect(asked(undefined, { above: 2 })).rejects.toMatchObject({ exitCode: 2 })
})

it('is one line in words, and none while it is off', () => {
  expect(autoText(auto)).toBe(
    'the cluster balances itself by load, above 1.5 and until below 1.2 times the mean, at most every 2 h 0 min and 1.0 GiB a plan; it rests until the lower bound was reached: the greatest is 1.30 times the mean; quorate cluster auto off',
  )
  expect(autoText({ ...auto, lastMs: 1, lastPlan: 'p-1' })).toContain(
    'last plan p-1 at 1970-01-01T00:00:00.001Z',
  )
  expect([autoText(null), autoText({ ...auto, isOn: false })]).toEqual([undefined, undefined])
})
