/** Every preset is a table that the core takes, every setting of it has its reason, and it is recognised again. */

import { describeTable } from '@quorate/core'
import { describe, expect, it } from 'vitest'
import { PRESET_NAMES, presets, presetsOf } from './presets.ts'

const described = (settings: object) => describeTable(1, { name: 'rows', key: 'id', ...settings })

describe.each(PRESET_NAMES)('%s', name => {
  const { settings, reasons, notYet, like } = presets[name]

  it('is recognised, also when it was cut elsewhere', () => {
    expect(presetsOf(described(settings))).toContain(name)
    if (settings.partitioning.kind !== 'range') return
    const cut = { ...settings.partitioning, splitPoints: ['a', 'b'] }
    expect(presetsOf(described({ ...settings, partitioning: cut }))).toContain(name)
  })

  it('gives a reason for each setting, and no other', () => {
    const paths = Object.entries(settings).flatMap(([group, values]) =>
      Object.keys(values).map(key => `${group}.${key}`),
    )
    const wanted = paths.filter(path => path !== 'partitioning.auto')
    expect(Object.keys(reasons).sort()).toEqual(wanted.sort())
    for (const text of [...Object.values(reasons), ...notYet, like]) expect(text).not.toBe('')
  })
})

it('a table with other settings is like none', () => {
  expect(presetsOf(described({ replication: { n: 5 } }))).toEqual([])
  expect(presetsOf(described({}))).toEqual([])
})
