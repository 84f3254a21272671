/**
 * Forces a version bump: the shapes of all messages are hashed. When this fails, either undo the change of
 * the wire, or raise PROTOCOL_VERSION, write a line of its history, and put the new hash here.
 */

import { expect, it } from 'vitest'
import { ERROR_CODES } from '../base/errors.ts'
import { murmur3OfString } from '../base/murmur3.ts'
import { errorSchema } from './error-schema.ts'
import { allMessages, helloSchema } from './messages.ts'
import './agreed-messages.ts'
import './led-messages.ts'
import { PROTOCOL_VERSION } from './protocol-version.ts'

const shapesHash = (): string => {
  const shapes = [...allMessages]
    .sort((a, b) => a.type - b.type)
    .map(message => `${message.type} ${message.name} ${message.request.shape} -> ${message.reply.shape}`)
  const text = [...shapes, helloSchema.shape, errorSchema.shape, ERROR_CODES.join()].join('\n')
  return (murmur3OfString(text, 1).toString(16) + murmur3OfString(text, 2).toString(16)).padStart(16, '0')
}

it('the wire is what its version says', () => {
  expect({ version: PROTOCOL_VERSION, shapes: shapesHash() }).toEqual({
    version: 4,
    shapes: 'af24dbe46b449199',
  })
})

it('type numbers are unique', () => {
  const types = allMessages.map(message => message.type)
  expect(new Set(types).size).toBe(types.length)
})
