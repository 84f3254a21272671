import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CsvReader, csvText, csvValue } from './csv.ts'
import { CsvShape } from './csv-shape.ts'
import { csvLine, formatOf, jsonLine } from './row-source.ts'

function records(text: string, cuts: readonly number[] = []) {
  const reader = new CsvReader()
  const out = []
  let from = 0
  for (const cut of [...cuts, text.length]) {
    out.push(...reader.push(text.slice(from, cut)))
    from = cut
  }
  return [...out, ...reader.end()]
}
const texts = (text: string) => records(text).map(record => record.fields.map(field => field.text))

describe('CSV', () => {
  it('reads quotes, doubled quotes, commas and line ends inside quotes', () => {
    expect(texts('a,b\r\n1,"x, ""y""\nz"\n\n"",2')).toEqual([
      ['a', 'b'],
      ['1', 'x, "y"\nz'],
      ['', '2'],
    ])
  })

  it('names the line a record starts on', () => {
    expect(records('h\n"a\nb"\nc\n').map(record => record.line)).toEqual([1, 2, 4])
  })

  it('an unclosed quote is an error that names its line', () => {
    expect(() => records('a\n"b')).toThrow('line 2')
  })

  it('numbers are numbers only when written as JavaScript writes them', () => {
    const plain = (text: string) => csvValue({ text, quoted: false })
    expect(['1', '-2.5', '01', '1e3', 'true', '', 'x'].map(plain)).toEqual([
      1,
      -2.5,
      '01',
      '1e3',
      true,
      undefined,
      'x',
    ])
    expect(csvValue({ text: '1', quoted: true })).toBe('1')
  })

  it('a record longer than its header is a problem of that line', () => {
    const [record] = records('1,2,3')
    expect(csvLine(['a', 'b'], record!)).toMatchObject({
      line: 1,
      problem: expect.stringContaining('3 fields'),
    })
  })

  it('what is written is read back, wherever the chunks are cut', () => {
    const value = fc.oneof(
      fc.string(),
      fc.integer(),
      fc.boolean(),
      fc.double(),
      fc.constantFrom('1', 'true', 'a"b', ',', '\r\n', ' ', 'NaN', '-0', '-Infinity', -0, Number.NaN),
    )
    fc.assert(
      fc.property(fc.array(value, { minLength: 2, maxLength: 5 }), fc.nat(40), (row, cut) => {
        const line = `${row.map(csvText).join(',')}\n`
        const [record] = records(line, [Math.min(cut, line.length)])
        const read = (record?.fields ?? []).map(csvValue)
        expect(read).toEqual(row.map(item => (item === '' ? read[row.indexOf(item)] : item)))
      }),
    )
  })
})

describe('CSV of an export', () => {
  it('names the fields that it cannot hold exactly', () => {
    const shape = new CsvShape(['id'])
    const row = { id: 'a', n: Number.NaN, big: 5n, list: [1], none: null }
    expect([...shape.add(row), ...shape.end()]).toEqual([
      'id,n,big,list,none',
      'a,NaN,"{""$bigint"":""5""}",[1],',
    ])
    expect(shape.warnings().join()).toContain('not exact in it: big, list, none')
  })
})

describe('JSON Lines', () => {
  it('gives the row or what is wrong with the line', () => {
    expect(jsonLine(3, '{"id": {"$bigint": "12345678901234567890"}}').row).toEqual({
      id: 12345678901234567890n,
    })
    expect(jsonLine(3, '{"id": {"$bigint": "x"}}').problem).toContain('row.id')
    expect(jsonLine(3, '[1]')).toEqual({ line: 3, problem: 'not a JSON object' })
    expect(jsonLine(4, '{')).toMatchObject({ line: 4, problem: expect.stringContaining('not JSON') })
  })

  it('the name of a file tells its format', () => {
    expect([formatOf('a.csv', undefined), formatOf('a.jsonl', undefined), formatOf('-', 'csv')]).toEqual([
      'csv',
      'jsonl',
      'csv',
    ])
  })
})
