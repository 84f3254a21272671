import fc from 'fast-check'
import { expect, it } from 'vitest'
import { base64ToBytes, bytesToBase64 } from './base64.ts'

it('is what the platform writes, and comes back', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), bytes => {
      const text = bytesToBase64(bytes)
      expect(text).toBe(Buffer.from(bytes).toString('base64'))
      expect(base64ToBytes(text)).toEqual(bytes)
      expect(base64ToBytes(text.replaceAll('=', ''))).toEqual(bytes)
    }),
  )
})

it.each(['A', 'AA=', 'A===', '=', 'AA-_', 'ä', 'AA==AA=='])('%s is refused', text =>
  expect(base64ToBytes(text)).toBeUndefined())
