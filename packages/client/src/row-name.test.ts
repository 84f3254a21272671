import { encodeDocument, encodeKey, isQuorateError, QuorateError } from '@quorate/core'
import { expect, it } from 'vitest'
import { aboutRow, rowText } from './row-name.ts'
import { encodeRowKey, type Row, type TableHandle, table } from './table.ts'

const events = table<Row>('events', { key: ['sensor', 'at'] }) as unknown as TableHandle<never>

it('a row that is too large is named by table and key, with the bytes as data', () => {
  const key = encodeRowKey(events, { sensor: 's1', at: 3 })
  const about = (() => {
    try {
      return encodeDocument({ text: 'x'.repeat(2_000_000) })
    } catch (error) {
      return aboutRow(error, 'events', rowText(key))
    }
  })()
  expect(isQuorateError(about) && about.message).toMatch(
    /^table "events", row s1 \/ 3: value is 2\d+ bytes encoded, the limit is 1048576$/,
  )
  expect(isQuorateError(about) && about.data).toMatchObject({
    table: 'events',
    row: 's1 / 3',
    limitBytes: 1048576,
  })
})

it('a field that cannot be stored is named inside its row', () => {
  const error = new QuorateError('BAD_REQUEST', 'value.items[0] is undefined')
  const about = aboutRow(error, 'carts', rowText({ partitionKey: encodeKey('c1'), sortKey: encodeKey(1) }))
  expect(isQuorateError(about) && about.message).toBe(
    'table "carts", row c1 / 1: value.items[0] is undefined',
  )
})

it('a key that is too large is named by table and field, and shown only in part', () => {
  const refuse = (): unknown => encodeRowKey(events, ['s1', 'k'.repeat(2_000)])
  expect(refuse).toThrow(/^table "events", key field "at" \(k{60}…\): key is 20\d\d bytes encoded/)
})
