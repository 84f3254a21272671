/**
 * What every implementation of `Registers` must do, as cases any test runner can run:
 * `for (const c of registersConformance) test(c.name, () => c.run(make))`.
 */

import { assert } from '../base/assert.ts'
import { bytesEqual, utf8 } from '../base/bytes.ts'
import type { ByteString, OperationId } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import type { Registers } from './registers.ts'

export interface RegistersUnderTest {
  /** Two doors to the same registers, as two nodes have them. */
  readonly one: Registers
  readonly two: Registers
  close(): Promise<void>
}

export interface RegistersCase {
  readonly name: string
  run(make: () => Promise<RegistersUnderTest>): Promise<void>
}

const key = (name: string): ByteString => name as ByteString
const bytes = (text: string): Uint8Array => utf8.encode(text)
const operation = (n: number): OperationId => String(n).padStart(16, '0') as OperationId

/** For what collides, or is large. */
const patient = { timeoutMs: 30_000 }

function expectValue(actual: Uint8Array | undefined, wanted: string | undefined, what: string): void {
  const same =
    actual === undefined || wanted === undefined ? actual === wanted : bytesEqual(actual, bytes(wanted))
  assert(same, `${what}: expected ${wanted}`, actual === undefined ? undefined : utf8.decode(actual))
}

const conformanceCase = (
  name: string,
  body: (under: RegistersUnderTest) => Promise<void>,
): RegistersCase => ({
  name,
  run: async make => {
    const under = await make()
    try {
      await body(under)
    } finally {
      await under.close()
    }
  },
})

export const registersConformance: readonly RegistersCase[] = [
  conformanceCase('an unwritten register is absent at version 0', async ({ one }) => {
    const read = await one.read(key('a'))
    assert(read.version === 0 && read.value === undefined, 'absent', read)
  }),
  conformanceCase(
    'a committed change is read by everyone, at the version it reported',
    async ({ one, two }) => {
      const done = await one.compareAndSet(key('a'), 0, bytes('x'), operation(1))
      assert(done.kind === 'committed' && done.version > 0, 'committed', done)
      const read = await two.read(key('a'))
      expectValue(read.value, 'x', 'value')
      assert(read.version === done.version, 'version', read)
    },
  ),
  conformanceCase(
    'compare-and-set on another version is rejected and says what is there',
    async ({ one, two }) => {
      const first = await one.compareAndSet(key('a'), 0, bytes('x'), operation(1))
      const lost = await two.compareAndSet(key('a'), 0, bytes('y'), operation(2))
      assert(
        first.kind === 'committed' && lost.kind === 'rejected' && lost.reason === 'version',
        'rejected',
        lost,
      )
      expectValue(lost.current.value, 'x', 'current')
      const won = await two.compareAndSet(key('a'), first.version, bytes('y'), operation(3))
      assert(won.kind === 'committed' && won.version > first.version, 'versions grow', won)
    },
  ),
  conformanceCase('an operation asked for twice is done once', async ({ one, two }) => {
    const append = (current: Uint8Array | undefined) => ({
      value: bytes(`${current === undefined ? '' : utf8.decode(current)}+`),
    })
    const first = await one.change(key('a'), append, operation(1))
    const other = await two.change(key('a'), append, operation(2))
    const again = await two.change(key('a'), append, operation(1))
    assert(first.kind === 'committed' && other.kind === 'committed', 'both done')
    assert(
      again.kind === 'committed' && again.repeated && again.version === first.version,
      'recognised',
      again,
    )
    expectValue((await one.read(key('a'))).value, '++', 'value')
  }),
  conformanceCase('a rejecting function changes nothing', async ({ one }) => {
    const rejected = await one.change(key('a'), () => ({ reject: 'because' }), operation(1))
    assert(rejected.kind === 'rejected' && rejected.reason === 'because', 'rejected', rejected)
    expectValue((await one.read(key('a'))).value, undefined, 'value')
  }),
  conformanceCase(
    'deletion: absent for everyone, expected as 0, and versions go on growing',
    async ({ one, two }) => {
      const made = await one.compareAndSet(key('a'), 0, bytes('x'), operation(1))
      const deleted = await two.delete(key('a'), operation(2))
      assert(made.kind === 'committed' && deleted.kind === 'committed', 'deleted', deleted)
      expectValue((await one.read(key('a'))).value, undefined, 'value')
      const absent = await one.delete(key('a'), operation(3))
      assert(absent.kind === 'rejected' && absent.reason === 'absent', 'nothing to delete', absent)
      const again = await one.compareAndSet(key('a'), 0, bytes('y'), operation(4))
      assert(again.kind === 'committed' && again.version > made.version, 'no version is used twice', again)
    },
  ),
  conformanceCase(
    'of concurrent compare-and-sets on one version exactly one commits',
    async ({ one, two }) => {
      const outcomes = await Promise.all(
        [1, 2, 3, 4, 5, 6].map(n =>
          (n % 2 ? one : two).compareAndSet(key('a'), 0, bytes(String(n)), operation(n), {
            timeoutMs: 30_000,
          }),
        ),
      )
      assert(outcomes.filter(outcome => outcome.kind === 'committed').length === 1, 'one winner', outcomes)
    },
  ),
  conformanceCase(
    'a watcher hears a version it is told of, once, and nothing after it stopped',
    async under => {
      const { one, two } = under
      const heard: string[] = []
      const stop = two.watch(key('a'), current => {
        heard.push(current.value === undefined ? '-' : utf8.decode(current.value))
      })
      const first = await one.compareAndSet(key('a'), 0, bytes('x'), operation(1))
      assert(first.kind === 'committed', 'committed', first)
      two.noticed(key('a'), first.version)
      two.noticed(key('a'), first.version)
      await two.read(key('a'))
      assert(heard.join() === 'x', 'heard once', heard)
      stop()
      await two.change(key('a'), () => ({ value: bytes('y') }), operation(2))
      assert(heard.join() === 'x', 'stopped', heard)
    },
  ),
  conformanceCase('a value above the limit is refused', async ({ one }) => {
    const large = new Uint8Array(1024 * 1024 + 1)
    const refused = await one.change(key('a'), () => ({ value: large }), operation(1))
    assert(refused.kind === 'rejected' && refused.reason === 'too-large', 'too large', refused)
  }),
  conformanceCase('a value of exactly the limit, and an empty one, are values', async ({ one, two }) => {
    const large = new Uint8Array(limits.registerBytesMax).fill(7)
    const made = await one.change(key('large'), () => ({ value: large }), operation(1), patient)
    assert(made.kind === 'committed', 'committed', made.kind)
    const read = await two.read(key('large'), patient)
    assert(read.value !== undefined && bytesEqual(read.value, large), 'the same bytes')
    await one.change(key('empty'), () => ({ value: bytes('') }), operation(2))
    expectValue((await two.read(key('empty'))).value, '', 'empty')
  }),
  conformanceCase('keys are any bytes, and no register is part of another', async ({ one, two }) => {
    const names = ['a', 'a/', 'a\0', '\0', '\xff', '\xff\xff', 'a/b', 'é']
    for (const [i, name] of names.entries()) {
      await one.compareAndSet(key(name), 0, bytes(name), operation(i))
    }
    for (const name of names) expectValue((await two.read(key(name))).value, name, name)
    await two.delete(key('a'), operation(100))
    expectValue((await one.read(key('a/'))).value, 'a/', 'a/')
  }),
  conformanceCase('concurrent increments through two doors add up', async ({ one, two }) => {
    const increment = (current: Uint8Array | undefined) => ({
      value: bytes(String(1 + Number(current === undefined ? 0 : utf8.decode(current)))),
    })
    const outcomes = await Promise.all(
      Array.from({ length: 10 }, (_, n) =>
        (n % 2 ? one : two).change(key('count'), increment, operation(n), patient),
      ),
    )
    const versions = outcomes.map(outcome => (outcome.kind === 'committed' ? outcome.version : -1))
    assert(new Set(versions).size === 10 && !versions.includes(-1), 'ten versions', outcomes)
    expectValue((await one.read(key('count'))).value, '10', 'count')
  }),
  conformanceCase('what a rejection leaves behind is the register as it was', async ({ one, two }) => {
    const made = await one.compareAndSet(key('a'), 0, bytes('x'), operation(1))
    assert(made.kind === 'committed', 'made', made)
    const rejected = await two.change(key('a'), () => ({ reject: 'no' }), operation(2))
    assert(rejected.kind === 'rejected' && rejected.current.version === made.version, 'version', rejected)
    const read = await one.read(key('a'))
    assert(read.version === made.version, 'the same version', read)
    const again = await two.compareAndSet(key('a'), made.version, bytes('y'), operation(2))
    assert(again.kind === 'committed' && !again.repeated, 'a rejected operation was not done', again)
  }),
  conformanceCase(
    'a deletion asked for twice is done once, and re-creation is no part of it',
    async under => {
      const { one, two } = under
      await one.compareAndSet(key('a'), 0, bytes('x'), operation(1))
      const deleted = await one.delete(key('a'), operation(2))
      const repeated = await two.delete(key('a'), operation(2))
      assert(deleted.kind === 'committed' && repeated.kind === 'committed', 'both say so', repeated)
      assert(repeated.repeated && repeated.version === deleted.version, 'recognised', repeated)
      const made = await two.compareAndSet(key('a'), 0, bytes('y'), operation(3))
      assert(made.kind === 'committed' && made.version > deleted.version, 'made again', made)
      const late = await one.delete(key('a'), operation(2))
      assert(late.kind === 'committed' && late.repeated, 'still recognised', late)
      expectValue((await one.read(key('a'))).value, 'y', 'value')
    },
  ),
  conformanceCase('versions grow over any number of deletions and re-creations', async ({ one, two }) => {
    let last = 0
    for (let n = 0; n < 6; n += 2) {
      const made = await one.compareAndSet(key('a'), 0, bytes('x'), operation(n))
      assert(made.kind === 'committed' && made.version > last, 'made', made)
      const gone = await two.change(key('a'), () => ({ value: undefined }), operation(n + 1))
      assert(gone.kind === 'committed' && gone.version > made.version, 'deleted', gone)
      last = gone.version
      const read = await one.read(key('a'))
      assert(read.value === undefined && (read.version === last || read.version === 0), 'absent', read)
    }
  }),
  conformanceCase('a watcher hears versions in order, a deletion as absence', async ({ one, two }) => {
    const heard: number[] = []
    let value: Uint8Array | undefined = bytes('nothing yet')
    two.watch(key('a'), current => {
      heard.push(current.version)
      value = current.value
    })
    for (const n of [1, 2, 3]) await two.change(key('a'), () => ({ value: bytes(`${n}`) }), operation(n))
    const gone = await one.delete(key('a'), operation(4))
    await two.read(key('a'))
    assert(value === undefined, 'absent', value)
    assert(gone.kind === 'committed' && heard.at(-1) === gone.version, 'the deletion', heard)
    assert(
      heard.every((version, i) => i === 0 || version > heard[i - 1]!),
      'in order, each once',
      heard,
    )
  }),
]
