import { describe, expect, it } from 'vitest'
import { type Answer, Output, tableLines, tsvLines } from './output.ts'
import { makeStyle, padEnd, textWidth, wantsColour } from './style.ts'
import type { Terminal } from './terminal.ts'
import { bytes, duration, parseDuration } from './words.ts'

interface City {
  readonly name: string
  readonly people: number
}
const answer: Answer<City> = {
  kind: 'cities',
  items: [
    { name: 'Paris', people: 2_102_650 },
    { name: 'tab\tand\nline', people: 3 },
  ],
  columns: [
    { name: 'NAME', value: city => city.name },
    { name: 'PEOPLE', value: city => city.people, paint: (text, _, style) => style.green(text) },
  ],
  warnings: ['half of them are asleep'],
  partial: true,
}

function recorder(isTerminal: boolean): { terminal: Terminal; out: string[]; error: string[] } {
  const out: string[] = []
  const error: string[] = []
  const side = (lines: string[]) => ({
    isTerminal,
    style: makeStyle(false),
    write: (text: string) => {
      lines.push(text)
    },
  })
  return { terminal: { out: side(out), error: side(error) }, out, error }
}

describe('output', () => {
  it('JSON is one document with exactly these fields, and warnings only in it', () => {
    const { terminal, out, error } = recorder(false)
    new Output(terminal, 'json').answer(answer)
    expect(out.join('')).toBe(
      '{"kind":"cities","items":[{"name":"Paris","people":2102650},{"name":"tab\\tand\\nline","people":3}],"warnings":["half of them are asleep"],"partial":true}\n',
    )
    expect(error).toEqual([])
  })

  it('a pipe gets TSV: plain numbers, no tabs or line ends inside a field; warnings go to stderr', () => {
    const { terminal, out, error } = recorder(false)
    new Output(terminal, 'auto').answer(answer)
    expect(out.join('')).toBe('NAME\tPEOPLE\nParis\t2102650\ntab\\tand\\nline\t3\n')
    expect(error.join('')).toBe('warning: half of them are asleep\n')
  })

  it('a terminal gets an aligned table, or a drawing where there is one', () => {
    const { terminal, out } = recorder(true)
    const output = new Output(terminal, 'auto')
    output.answer({ ...answer, items: answer.items.slice(0, 1), warnings: [] })
    expect(out.join('')).toBe('NAME      PEOPLE\nParis  2,102,650\n')
    out.length = 0
    output.answer({ ...answer, warnings: [], drawing: () => ['a picture'] })
    expect(out.join('')).toBe('a picture\n')
  })

  it('an empty answer has no table, but TSV keeps its header', () => {
    expect(tableLines(answer.columns, [], makeStyle(false))).toEqual([])
    expect(tsvLines(answer.columns, [])).toEqual(['NAME\tPEOPLE'])
  })

  it('colours take no width, wide characters take two', () => {
    const style = makeStyle(true)
    expect(textWidth(style.red('abc'))).toBe(3)
    expect(textWidth('東京')).toBe(4)
    expect(padEnd('東京', 6)).toBe('東京  ')
    expect(makeStyle(false).red('abc')).toBe('abc')
  })

  it('NO_COLOR and dumb terminals are respected', () => {
    expect(wantsColour(true, {})).toBe(true)
    expect(wantsColour(false, {})).toBe(false)
    expect(wantsColour(true, { NO_COLOR: '1' })).toBe(false)
    expect(wantsColour(true, { TERM: 'dumb' })).toBe(false)
  })
})

describe('words', () => {
  it.each([
    ['500', 500],
    ['250ms', 250],
    ['90s', 90_000],
    ['5m', 300_000],
    ['1.5h', 5_400_000],
    ['2d', 172_800_000],
    ['soon', undefined],
    ['', undefined],
    ['-1s', undefined],
  ])('parseDuration(%s) is %s', (text, ms) => expect(parseDuration(text)).toBe(ms))

  it('sizes and times read like prose', () => {
    expect([bytes(17), bytes(2048), bytes(88 * 1024 * 1024)]).toEqual(['17 B', '2.0 KiB', '88 MiB'])
    expect([12, 1500, 61_000, 3_700_000, 90_000_000].map(duration)).toEqual([
      '12 ms',
      '1.5 s',
      '1 min 1 s',
      '1 h 1 min',
      '1 d 1 h',
    ])
  })
})
