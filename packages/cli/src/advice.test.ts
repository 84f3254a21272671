import { QuorateError } from '@quorate/client'
import { describe, expect, it } from 'vitest'
import { type Asked, advised, commandLine } from './advice.ts'
import { describeFailure, exitCodeOf, failureDocument } from './command-error.ts'
import { makeStyle } from './output/style.ts'

const OPERATION = '00112233445566778899aabbccddeeff'

async function failing(asked: Omit<Asked, 'table' | 'words'> & Partial<Asked>, error: unknown) {
  const thrown: unknown = await advised({ table: 'carts', words: [asked.verb, 'carts'], ...asked }, () =>
    Promise.reject(error),
  ).catch((failure: unknown) => failure)
  return { thrown, text: describeFailure(thrown, makeStyle(false)) }
}

describe('a write of unknown outcome', () => {
  const error = new QuorateError('WRITE_SHORT', 'only 1 of 2', {
    outcome: 'unknown',
    data: { operation: OPERATION },
    attempts: ['n2 3 times: cannot be reached'],
  })
  const words = ['put', 'carts', `{"id":"it's"}`, '--w', '2', '--http', '127.0.0.1:7481']

  it('names its operation and the exact command that repeats it', async () => {
    const { thrown, text } = await failing({ verb: 'put', words }, error)
    expect(text).toEqual([
      'error: only 1 of 2 (WRITE_SHORT)',
      '  tried: n2 3 times: cannot be reached',
      `  outcome unknown: the put may be on some replicas; if it is, it will spread to the others (operation ${OPERATION})`,
      `  next: quorate put carts '{"id":"it'\\''s"}' --w 2 --http 127.0.0.1:7481 --operation ${OPERATION}   (the same operation: it is not applied twice)`,
    ])
    expect(exitCodeOf(thrown)).toBe(8)
  })

  it('repeated once more it keeps its one id', async () => {
    const again = [...words, '--operation', OPERATION]
    const { text } = await failing({ verb: 'put', words: again }, error)
    expect(text.at(-1)?.match(/--operation/g)).toHaveLength(1)
  })

  it('for programs it has the same in its document', async () => {
    const { thrown } = await failing({ verb: 'delete', words: ['delete', 'carts', 'c1'] }, error)
    expect(failureDocument(thrown)).toEqual({
      kind: 'error',
      items: [],
      warnings: [],
      partial: false,
      error: {
        code: 'WRITE_SHORT',
        message: 'only 1 of 2',
        outcome: 'unknown',
        retryable: true,
        attempts: ['n2 3 times: cannot be reached'],
        exitCode: 8,
        operation: OPERATION,
        next: `quorate delete carts c1 --operation ${OPERATION}   (the same operation: it is not applied twice)`,
      },
    })
  })
})

describe('advice fits what was asked', () => {
  it.each([
    'READ_SHORT',
    'WRITE_SHORT',
    'UNAVAILABLE',
    'DEADLINE',
    'TOO_MANY_SIBLINGS',
  ] as const)('a get that fails with %s is not told to get first', async code => {
    const words = ['get', 'carts', 'c1', '--r', '3']
    const { text } = await failing({ verb: 'get', words }, new QuorateError(code, 'x'))
    expect(text.join('\n')).not.toMatch(/fresh get|context/)
    if (code === 'READ_SHORT')
      expect(text.at(-1)).toBe('  next: quorate status, or fewer replicas: quorate get carts c1 --r one')
  })

  it('a write that was not applied says so, and siblings are settled by a command with the real key', async () => {
    const error = new QuorateError('TOO_MANY_SIBLINGS', 'x')
    const { text } = await failing({ verb: 'put', key: ['it is', '3'] }, error)
    expect(text.slice(1)).toEqual([
      '  Nothing was written.',
      "  next: quorate get carts 'it is' 3, then put again with the --context it prints",
    ])
  })

  it('names the real table, never a placeholder', async () => {
    const error = new QuorateError('QUORUM_LARGER_THAN_N', 'r=4')
    expect((await failing({ verb: 'get' }, error)).text.at(-1)).toBe('  next: quorate table show carts')
  })

  it('making a table is spoken of as such, with a next command', async () => {
    const words = ['table', 'create', 'carts', '--key', 'id']
    const refused = await failing({ verb: 'create', words }, new QuorateError('UNAVAILABLE', 'no majority'))
    expect(refused.text.slice(1)).toEqual(['  No table was made.', '  next: quorate status'])
    const unknown = new QuorateError('UNAVAILABLE', 'no majority', { outcome: 'unknown' })
    expect((await failing({ verb: 'create', words }, unknown)).text.slice(1)).toEqual([
      '  outcome unknown: the table may have been made',
      '  next: quorate status, then quorate table create carts --key id   (the same settings again are success)',
    ])
    const exists = new QuorateError('TABLE_EXISTS', 'n is 3, not 5')
    expect((await failing({ verb: 'create', words }, exists)).text.at(-1)).toBe(
      '  next: quorate table show carts',
    )
  })
})

it('a command line is quoted as a shell takes it', () => {
  expect(commandLine(['get', 'carts', 'a b', '', '$HOME', '-o', 'json'])).toBe(
    "quorate get carts 'a b' '' '$HOME' -o json",
  )
})
