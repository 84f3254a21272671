import { expect, it } from 'vitest'
import { randomBelow, SeededRandom } from '../base/prng.ts'
import { ByteReader } from './byte-reader.ts'
import { ByteWriter } from './byte-writer.ts'

it('what was taken stays as it is while further messages are written, small and large', () => {
  const random = new SeededRandom(5)
  const writer = new ByteWriter(16)
  const taken: { readonly bytes: Uint8Array; readonly parts: readonly Uint8Array[] }[] = []
  for (let message = 0; message < 500; message++) {
    writer.begin()
    const parts = Array.from({ length: 1 + randomBelow(random, 5) }, () =>
      new Uint8Array(randomBelow(random, message % 50 === 0 ? 40_000 : 60)).fill(random.uint32()),
    )
    for (const part of parts) writer.bytes(part)
    taken.push({ bytes: writer.take(), parts })
  }
  for (const { bytes, parts } of taken) {
    const reader = new ByteReader(bytes)
    for (const part of parts) expect(reader.bytes(1_000_000)).toEqual(part)
    reader.end()
  }
})

it('a message that was not finished leaves nothing in the next', () => {
  const writer = new ByteWriter()
  writer.u32(1)
  expect([...writer.take()]).toEqual([0, 0, 0, 1])
  writer.text('half a messa')
  writer.begin()
  expect(writer.length).toBe(0)
  writer.u8(7)
  writer.u32(0)
  writer.patchU32(1, 258)
  expect([...writer.take()]).toEqual([7, 0, 0, 1, 2])
})
