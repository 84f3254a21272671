import { decodeDocument, encodeDocument, isQuorateError } from '@quorate/core'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { documentFromJson, documentToJson } from './document-json.ts'

/** Names that could be taken for one of the forms are drawn often. */
const fieldName = fc.oneof(
  fc.string(),
  fc.constantFrom('$', '$$', '$bigint', '$bytes', '$set', '$number', '$$bigint', '$price'),
)
const leaf = fc.oneof(
  fc.constant(null),
  fc.boolean(),
  fc.double(),
  fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -0, 0),
  fc.bigInt(),
  fc.string(),
  fc.uint8Array({ maxLength: 9 }),
)
const { document } = fc.letrec<{ document: unknown }>(tie => ({
  document: fc.oneof(
    { depthSize: 'small' },
    leaf,
    fc.array(tie('document'), { maxLength: 4 }),
    fc.array(leaf, { maxLength: 4 }).map(items => new Set(items)),
    fc
      .array(fc.tuple(fieldName, tie('document')), { maxLength: 4 })
      .map(fields => Object.fromEntries(fields)),
  ),
}))

const throughText = (value: unknown): unknown =>
  documentFromJson(JSON.parse(JSON.stringify(documentToJson(value))))

describe('documents as JSON', () => {
  it('come back exactly: NaN, infinities, -0, bigint, bytes, sets, names that begin with $', () => {
    fc.assert(
      fc.property(document, value => {
        // `toStrictEqual` tells -0 from 0 and a list from a set.
        expect(throughText(value)).toStrictEqual(value)
      }),
    )
  })

  it('hold in a row whatever the store can hold', () => {
    const row = {
      id: 'r1',
      numbers: [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1.5, 2 ** 53],
      big: -(2n ** 70n),
      bytes: new Uint8Array([0, 255, 7]),
      set: new Set([1, 'a', null]),
      $bigint: '5',
      nested: { $set: [1], $$: { $number: 'NaN' } },
    }
    expect(throughText(decodeDocument(encodeDocument(row)))).toStrictEqual(row)
  })

  it('has these forms', () => {
    expect(
      JSON.stringify(
        documentToJson([
          Number.NaN,
          Number.NEGATIVE_INFINITY,
          -0,
          12n,
          new Uint8Array([1, 2]),
          new Set([1]),
          { $a: 1 },
        ]),
      ),
    ).toBe(
      '[{"$number":"NaN"},{"$number":"-Infinity"},{"$number":"-0"},{"$bigint":"12"},{"$bytes":"AQI="},{"$set":[1]},{"$$a":1}]',
    )
  })

  it('takes a hand-written $ name as it is where it can mean nothing else', () => {
    expect(documentFromJson({ $ref: 1, a: { $set: 1, $bytes: 2 } })).toEqual({
      $ref: 1,
      a: { $set: 1, $bytes: 2 },
    })
  })

  it.each([
    { $bigint: 'five' },
    { $bytes: '§' },
    { $number: '1' },
    { $set: 3 },
  ])('%j is refused with its place, and not stored as something else', form => {
    const refuse = (): unknown => documentFromJson({ a: [form] }, 'row')
    expect(refuse).toThrow(/^row\.a\[0\]: .* is written "\$\$/)
    try {
      refuse()
    } catch (error) {
      expect(isQuorateError(error) && error.code).toBe('BAD_REQUEST')
    }
  })
})
