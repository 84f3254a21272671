import { QuorateError } from '@quorate/core'
import { expect, it } from 'vitest'
import { Attempts } from './attempts.ts'

const unreachable = (peer: string) =>
  new QuorateError('UNREACHABLE', `${peer} cannot be reached; write may or may not have arrived`)

it('equal answers of one peer are one line with a count, in order of first asking', () => {
  const attempts = new Attempts()
  for (const peer of ['n2', 'n1', 'n2', 'n2']) attempts.add(peer, unreachable(peer))
  attempts.add('n1', new QuorateError('OVERLOADED', 'busy'))
  expect(attempts.count).toBe(5)
  expect(attempts.lines()).toEqual([
    'n2 3 times: cannot be reached',
    'n1: cannot be reached',
    'n1: OVERLOADED: busy',
  ])
  attempts.add('n2', new QuorateError('OVERLOADED', 'busy'))
  expect(attempts.lines()[1]).toBe('n2: OVERLOADED: busy')
})

it('what the error itself says is not said again, and what a coordinator saw stands beside its name', () => {
  const attempts = new Attempts()
  const short = new QuorateError('READ_SHORT', '1 of 2', { attempts: ['n2: UNREACHABLE', 'n3: UNREACHABLE'] })
  attempts.add('n1', short)
  attempts.add('n1', short)
  expect(attempts.lines(short)).toEqual([
    'n1 2 times: READ_SHORT',
    'n1 asked n2: UNREACHABLE (2 times)',
    'n1 asked n3: UNREACHABLE (2 times)',
  ])
})

it('a seed is known by its address, and a call that asks for ever keeps few lines', () => {
  const attempts = new Attempts()
  attempts.add('seed:127.0.0.1:7701', unreachable('seed:127.0.0.1:7701'))
  expect(attempts.lines()).toEqual(['127.0.0.1:7701: cannot be reached'])
  for (let i = 0; i < 100; i++) attempts.add(`n${i}`, unreachable(`n${i}`))
  expect(attempts.lines()).toHaveLength(16)
})
