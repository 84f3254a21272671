import { parseConnectString, QuorateError } from '@quorate/client'
import { describe, expect, it } from 'vitest'
import { contextToken, integer, keyValue, level, port, positiveMilliseconds } from './arguments.ts'
import { ClusterAccess } from './cluster-access.ts'
import { CommandError, describeFailure, exitCodeOf } from './command-error.ts'
import { parseMember } from './commands/start.ts'
import { exitCodeMeanings, exitCodes } from './exit-codes.ts'
import { makeStyle } from './output/style.ts'
import { startFailure } from './server/start-failure.ts'

const plain = makeStyle(false)

describe('exit codes', () => {
  it.each([
    ['BAD_REQUEST', 'not-applied', 2],
    ['QUORUM_LARGER_THAN_N', 'not-applied', 2],
    ['UNREACHABLE', 'not-applied', 3],
    ['UNKNOWN_TABLE', 'not-applied', 5],
    ['TABLE_EXISTS', 'not-applied', 6],
    ['CONFLICT', 'not-applied', 6],
    ['UNAVAILABLE', 'not-applied', 7],
    ['READ_SHORT', 'not-applied', 7],
    ['WRITE_SHORT', 'unknown', 8],
    ['DEADLINE', 'unknown', 8],
    ['UNREACHABLE', 'unknown', 8],
    ['DEADLINE', 'not-applied', 124],
    ['CANCELLED', 'not-applied', 130],
    ['STORE_DAMAGED', 'not-applied', 70],
  ] as const)('%s, %s ends with %i', (code, outcome, exit) =>
    expect(exitCodeOf(new QuorateError(code, 'x', { outcome }))).toBe(exit))

  it('anything unexpected is 1', () => {
    expect(exitCodeOf(new Error('x'))).toBe(1)
    expect(exitCodeOf('x')).toBe(1)
  })

  it('the numbers are frozen, distinct, and each has a meaning', () => {
    expect(Object.values(exitCodes)).toEqual([
      0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 70, 74, 86, 123, 124, 130,
    ])
    expect(Object.keys(exitCodeMeanings)).toEqual(Object.keys(exitCodes))
  })
})

describe('errors say what happened, what was done, and what next', () => {
  it('an unknown outcome is said in words', () => {
    const error = new QuorateError('WRITE_SHORT', 'too few', {
      outcome: 'unknown',
      attempts: ['n2: DEADLINE'],
    })
    const text = describeFailure(error, plain).join('\n')
    expect(text).toContain('error: too few (WRITE_SHORT)')
    expect(text).toContain('tried: n2: DEADLINE')
    expect(text).toContain('outcome unknown')
  })

  it('a command error has its parts in order', () => {
    const error = new CommandError(exitCodes.usage, 'what', {
      done: 'Nothing.',
      next: 'quorate x',
      cause: new Error('why'),
    })
    expect(describeFailure(error, plain)).toEqual([
      'error: what',
      '  because why',
      '  Nothing.',
      '  next: quorate x',
    ])
  })

  it('a damaged store names the one command that mends it', () => {
    const failure = startFailure(new QuorateError('STORE_DAMAGED', 'bad record'), { id: 'n1', data: '/d' })
    expect(exitCodeOf(failure)).toBe(70)
    expect(describeFailure(failure, plain).join('\n')).toContain('quorate start --id n1 … --rebuild')
  })

  it('a full disk is 74', () => {
    const full = Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' })
    expect(exitCodeOf(startFailure(full, { data: '/d' }))).toBe(74)
  })
})

describe('arguments', () => {
  it('keys are JSON scalars or the text itself', () => {
    expect(['1', '"1"', 'true', 'null', 'abc', '{"a":1}', 'FR-1'].map(keyValue)).toEqual([
      1,
      '1',
      true,
      null,
      'abc',
      '{"a":1}',
      'FR-1',
    ])
  })

  it('levels, numbers and contexts are checked', () => {
    expect(['one', 'quorum', 'all', '2'].map(level('--r'))).toEqual(['one', 'quorum', 'all', 2])
    expect(() => level('--r')('0')).toThrow('--r is one, quorum, all')
    expect(() => integer('--n')('2.5')).toThrow('--n is a whole number')
    expect(() => contextToken('not base64!')).toThrow('--context')
  })

  it.each([
    ['0', '--timeout is at least 1ms, not "0"'],
    ['0ms', '--timeout is at least 1ms, not "0ms"'],
    ['-5s', '--timeout is a duration such as'],
    ['soon', '--timeout is a duration such as'],
    ['', '--timeout is a duration such as'],
    ['10m', '--timeout is at most 2 min 0 s, not "10m"'],
  ])('a timeout of "%s" is refused', (text, message) => {
    expect(() => positiveMilliseconds('--timeout', 120_000)(text)).toThrow(message)
  })

  it.each([
    [{ http: 'localhost:99999' }, {}, '--http has a port from 1 to 65535, not "localhost:99999"'],
    [{ http: '127.0.0.1:0' }, {}, '--http has a port'],
    [{ http: 'http://127.0.0.1:7480' }, {}, '--http is host:port, not "http://127.0.0.1:7480"'],
    [{ http: '7480' }, {}, '--http is host:port'],
    [{ connect: 'quorate://h1:7701,h2:70000' }, {}, '--connect has a port from 1 to 65535, not "h2:70000"'],
    [{ connect: 'h1:7701' }, {}, '--connect looks like quorate://'],
    [{}, { QUORATE_HTTP: 'localhost' }, 'QUORATE_HTTP is host:port'],
    [{}, { QUORATE_CONNECT: 'quorate://h1:99999' }, 'QUORATE_CONNECT has a port'],
  ])('%j, %j is refused before anything is asked', (options, environment, message) => {
    expect(() => new ClusterAccess(options, environment)).toThrow(message)
    expect(() => new ClusterAccess({ http: '[::1]:7480' }, environment)).not.toThrow()
  })

  it('ports end at 65535', () => {
    expect(port('--http-port')('0')).toBe(0)
    expect(() => port('--http-port')('65536')).toThrow('--http-port is a port from 0 to 65535, not "65536"')
    expect(() => parseConnectString('quorate://h1:7701,h2:0')).toThrow('the port of h2:0 is not from 1')
    expect(() => parseConnectString('quorate://h1:7701?zon=a')).toThrow(
      '"zon" is not known, zone and region are',
    )
    expect(() => parseConnectString('quorate://h1:7701?zone=')).toThrow('zone is empty')
    expect(parseConnectString('quorate://h1:7701/?zone=a&region=eu')).toEqual({
      addresses: ['h1:7701'],
      zone: 'a',
      region: 'eu',
    })
  })

  it('members are named field by field', () => {
    expect(parseMember('id=n2,address=127.0.0.1:7702,zone=b,weight=2')).toEqual({
      id: 'n2',
      address: '127.0.0.1:7702',
      zone: 'b',
      weight: 2,
    })
    expect(() => parseMember('id=n2,adress=x')).toThrow('"adress=x"')
    expect(() => parseMember('id=n2')).toThrow('address=')
  })
})
