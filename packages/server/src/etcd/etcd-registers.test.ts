/** Registers in a real etcd: the conformance suite, and what an etcd does that acceptors do not. */

import { NodeClock } from '@quorate/client/node-transport'
import {
  agreeOnCluster,
  type ByteString,
  type ChangeOutcome,
  type OperationId,
  SeededRandom,
  utf8,
} from '@quorate/core'
import { registersConformance } from '@quorate/core/register-conformance'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Fetch } from './etcd-gateway.ts'
import { EtcdRegisters, type EtcdRegistersOptions } from './etcd-registers.ts'
import { EtcdProcess, etcdMissing, freePort } from './testing/etcd-process.ts'

const missing = etcdMissing()
const clock = new NodeClock()
const key = (name: string) => name as ByteString
const bytes = (text: string) => utf8.encode(text)
const operation = (name: string) => name.padStart(16, '.') as OperationId
const sleep = (ms: number) => new Promise(resolve => setTimeout(resolve, ms))
const text = (value: Uint8Array | undefined) => (value === undefined ? undefined : utf8.decode(value))
const append = (what: string) => (current: Uint8Array | undefined) => ({
  value: bytes((text(current) ?? '') + what),
})

async function until(what: string, isSo: () => boolean): Promise<void> {
  for (let i = 0; i < 1_000 && !isSo(); i++) await sleep(20)
  expect(isSo(), what).toBe(true)
}

/** Sends requests that `isHeld` picks only when released, long after their caller has given up. */
class LateNetwork {
  isHeld: (path: string, body: string) => boolean = () => false
  readonly #held: (() => Promise<unknown>)[] = []

  readonly fetch: Fetch = (input, init) => {
    const body = String(init?.body)
    if (!this.isHeld(String(input), body)) return fetch(input, init)
    const { signal, ...late } = init ?? {}
    this.#held.push(() => fetch(input, late).then(response => response.text()))
    return new Promise((_, reject) => {
      signal?.addEventListener('abort', () => reject(signal.reason))
    })
  }

  get heldCount(): number {
    return this.#held.length
  }

  async release(): Promise<void> {
    await Promise.all(this.#held.splice(0).map(send => send()))
  }
}

const isWrite = (_path: string, body: string) => body.includes('request_put')

describe.skipIf(missing !== undefined)(
  `registers in etcd${missing === undefined ? '' : `: ${missing}`}`,
  () => {
    let etcd: EtcdProcess
    let clusters = 0
    const opened: EtcdRegisters[] = []

    beforeAll(async () => {
      etcd = await EtcdProcess.start()
    })
    afterAll(async () => {
      for (const registers of opened) await registers.close()
      await etcd?.end()
    })

    function open(name: string, more: Partial<EtcdRegistersOptions> = {}): EtcdRegisters {
      const random = new SeededRandom(opened.length + 1)
      const registers = new EtcdRegisters({ endpoints: [etcd.endpoint], name, clock, random, ...more })
      opened.push(registers)
      return registers
    }
    const cluster = () => `c${++clusters}`

    describe('conformance', () => {
      for (const conformance of registersConformance) {
        it(conformance.name, () =>
          conformance.run(async () => {
            const name = cluster()
            const [one, two] = [open(name), open(name)]
            const close = async () => {
              await one.close()
              await two.close()
            }
            return { one, two, close }
          }),
        )
      }
    })

    it('many increments from two clients, each retried under its id, add up exactly', async () => {
      const name = cluster()
      const doors = [open(name), open(name)]
      await Promise.all(
        Array.from({ length: 40 }, async (_, n) => {
          for (let again = 0; again < 2; again++) {
            const outcome = await doors[(n + again) % 2]!.change(
              key('count'),
              current => ({ value: bytes(String(1 + Number(text(current) ?? 0))) }),
              operation(`i${n}`),
              { timeoutMs: 60_000 },
            )
            expect(outcome.kind).toBe('committed')
          }
        }),
      )
      expect(text((await doors[0]!.read(key('count'))).value)).toBe('40')
    })

    describe('a write that lands after its caller gave up', () => {
      const late = new LateNetwork()
      const giveUp = { timeoutMs: 150 }
      const begin = async (
        key_: ByteString,
        registers: EtcdRegisters,
        what: string,
      ): Promise<ChangeOutcome> => {
        late.isHeld = isWrite
        const outcome = await registers.change(key_, append(what), operation(what), giveUp)
        late.isHeld = () => false
        expect(late.heldCount).toBe(1)
        return outcome
      }

      it('was reported unknown, and asking again under its id never applies it twice', async () => {
        const registers = open(cluster(), { fetch: late.fetch })
        expect((await begin(key('a'), registers, 'x')).kind).toBe('unknown')
        const [again] = await Promise.all([
          registers.change(key('a'), append('x'), operation('x')),
          late.release(),
        ])
        expect(again.kind).toBe('committed')
        expect(text((await registers.read(key('a'))).value)).toBe('x')
      })

      it('is found when it landed first', async () => {
        const registers = open(cluster(), { fetch: late.fetch })
        await begin(key('a'), registers, 'x')
        await late.release()
        const again = await registers.change(key('a'), () => ({ reject: 'late' }), operation('x'))
        expect(again).toMatchObject({ kind: 'committed', repeated: true })
      })

      for (const there of ['absent', 'there']) {
        it(`cannot land once its retry was rejected (register ${there})`, async () => {
          const registers = open(cluster(), { fetch: late.fetch })
          if (there === 'there') await registers.change(key('a'), append('0'), operation('0'))
          const before = await registers.read(key('a'))
          await begin(key('a'), registers, 'x')
          const again = await registers.change(key('a'), () => ({ reject: 'late' }), operation('x'))
          expect(again).toMatchObject({ kind: 'rejected', current: before })
          await late.release()
          expect(await registers.read(key('a'))).toEqual(before)
        })
      }

      it('cannot land on a register that was made, deleted and collected in between', async () => {
        const name = cluster()
        const registers = open(name, { fetch: late.fetch })
        const other = open(name, { collectDelayMs: 1 })
        await begin(key('a'), registers, 'x')
        const made = await other.change(key('a'), append('y'), operation('y'))
        const deleted = await other.delete(key('a'), operation('z'))
        let version = -1
        for (let i = 0; i < 200 && version !== 0; i++) {
          await sleep(10)
          ;({ version } = await other.read(key('a')))
        }
        expect(version, 'collected').toBe(0)
        await late.release()
        expect(await other.read(key('a'))).toEqual({ version: 0, value: undefined })
        const again = await other.change(key('a'), append('w'), operation('w'))
        expect(made.kind === 'committed' && deleted.kind === 'committed').toBe(true)
        if (again.kind !== 'committed' || deleted.kind !== 'committed') throw new Error('not committed')
        expect(again.version).toBeGreaterThan(deleted.version)
      })

      it('a rejection whose fence got no answer is no rejection', async () => {
        const registers = open(cluster(), { fetch: late.fetch })
        await registers.change(key('a'), append('0'), operation('0'))
        late.isHeld = isWrite
        const outcome = await registers.change(key('a'), () => ({ reject: 'no' }), operation('x'), giveUp)
        late.isHeld = () => false
        expect(outcome.kind).toBe('not-applied')
        await late.release()
        expect(text((await registers.read(key('a'))).value)).toBe('0')
      })
    })

    it('nobody there: not applied at once, reads are refused; with a second endpoint both succeed', async () => {
      const nobody = `http://127.0.0.1:${await freePort()}`
      const alone = open(cluster(), { endpoints: [nobody] })
      const outcome = await alone.change(key('a'), append('x'), operation('x'), { timeoutMs: 200 })
      expect(outcome).toMatchObject({ kind: 'not-applied', reason: `${nobody}: ECONNREFUSED` })
      await expect(alone.read(key('a'), { timeoutMs: 100 })).rejects.toMatchObject({ code: 'UNAVAILABLE' })
      const both = open(cluster(), { endpoints: [nobody, etcd.endpoint] })
      expect((await both.change(key('a'), append('x'), operation('x'))).kind).toBe('committed')
      expect(text((await both.read(key('a'))).value)).toBe('x')
    })

    it('what another program wrote under a register is refused, not half understood', async () => {
      const name = cluster()
      const base64 = (of: string) => Buffer.from(of).toString('base64')
      await fetch(`${etcd.endpoint}/v3/kv/put`, {
        method: 'POST',
        body: JSON.stringify({ key: base64(`quorate/${name}/r/a`), value: base64('hello') }),
      })
      await expect(open(name).read(key('a'))).rejects.toThrow('what Quorate did not write')
      const outcome = await open(name).change(key('a'), append('x'), operation('x'))
      expect(outcome.kind).toBe('not-applied')
    })

    it('clusters of different names do not see each other', async () => {
      const [one, two] = [open('east'), open('east2')]
      await one.change(key('a'), append('x'), operation('x'))
      expect(await two.read(key('a'))).toEqual({ version: 0, value: undefined })
    })

    it('killed and restarted under load: nothing committed is lost, nothing is done twice', async () => {
      const name = cluster()
      const doors = [open(name, { attemptTimeoutMs: 300 }), open(name, { attemptTimeoutMs: 300 })]
      let running = true
      const kinds = new Map<string, number>()
      const done: string[] = []
      const open_: string[] = []
      const worker = async (worker: number) => {
        for (let n = 0; running; n++) {
          const what = `${worker}-${n};`
          const outcome = await doors[worker % 2]!.change(key('log'), append(what), operation(what), {
            timeoutMs: 250,
          })
          kinds.set(outcome.kind, (kinds.get(outcome.kind) ?? 0) + 1)
          if (outcome.kind === 'committed') done.push(what)
          else if (outcome.kind === 'unknown') {
            // The same operation again until it is known.
            let again = outcome as ChangeOutcome
            while (again.kind !== 'committed')
              again = await doors[(worker + 1) % 2]!.change(key('log'), append(what), operation(what))
            done.push(what)
          } else open_.push(what)
        }
      }
      const workers = [0, 1, 2, 3].map(worker)
      for (let round = 0; round < 3; round++) {
        await sleep(300)
        await etcd.kill()
        await sleep(300)
        await etcd.restart()
      }
      for (let round = 0; round < 2; round++) {
        etcd.pause()
        await sleep(600)
        etcd.resume()
        await sleep(200)
      }
      running = false
      await Promise.all(workers)
      const entries = (text((await doors[0]!.read(key('log'))).value) ?? '').split(';').filter(Boolean)
      expect(new Set(entries).size, 'nothing twice').toBe(entries.length)
      expect([...entries].sort()).toEqual(done.map(what => what.slice(0, -1)).sort())
      for (const what of open_) expect(entries, 'not applied').not.toContain(what.slice(0, -1))
      expect(kinds.get('committed')).toBeGreaterThan(0)
      expect(kinds.get('unknown') ?? 0, 'some were left unknown').toBeGreaterThan(0)
      expect(kinds.get('not-applied') ?? 0, 'some met a closed door').toBeGreaterThan(0)
    })

    describe('watching', () => {
      it('hears what others do without being told, also across a restart of etcd', async () => {
        const name = cluster()
        const [watcher, writer] = [open(name), open(name)]
        const heard: string[] = []
        const stop = watcher.watch(key('a'), current => heard.push(text(current.value) ?? '-'))
        await writer.change(key('a'), append('1'), operation('1'))
        await until('the first', () => heard.includes('1'))
        await etcd.kill()
        await etcd.restart()
        await writer.change(key('a'), append('2'), operation('2'))
        await until('the second', () => heard.includes('12'))
        await writer.delete(key('a'), operation('3'))
        await until('the deletion', () => heard.includes('-'))
        expect(heard).toEqual(['1', '12', '-'])
        stop()
        await writer.change(key('a'), append('4'), operation('4'))
        await sleep(50)
        expect(heard).toHaveLength(3)
      })

      it('a stream that hangs is noticed by the comparison of revisions', async () => {
        const name = cluster()
        const hanging: Fetch = (input, init) =>
          String(input).endsWith('/v3/watch')
            ? Promise.resolve(
                new Response(
                  new ReadableStream({
                    start: stream => stream.enqueue(bytes('{"result":{"created":true}}\n')),
                  }),
                ),
              )
            : fetch(input, init)
        const [watcher, writer] = [open(name, { fetch: hanging, recheckMs: 100 }), open(name)]
        const heard: string[] = []
        watcher.watch(key('a'), current => heard.push(text(current.value) ?? '-'))
        await sleep(50)
        await writer.change(key('a'), append('1'), operation('1'))
        await until('heard', () => heard.length === 1)
      })

      it('who missed a deletion and its collection hears of the absence', async () => {
        const name = cluster()
        const deaf: Fetch = (input, init) =>
          String(input).endsWith('/v3/watch') ? Promise.reject(new Error('cut')) : fetch(input, init)
        const [watcher, writer] = [
          open(name, { fetch: deaf, recheckMs: 400 }),
          open(name, { collectDelayMs: 1 }),
        ]
        const heard: string[] = []
        watcher.watch(key('a'), current => heard.push(text(current.value) ?? '-'))
        await writer.change(key('a'), append('1'), operation('1'))
        await until('the value', () => heard.length === 1)
        await writer.delete(key('a'), operation('2'))
        await until('the absence', () => heard.length === 2)
        expect(heard).toEqual(['1', '-'])
        await writer.change(key('a'), append('3'), operation('3'))
        await until('the new value', () => heard.length === 3)
      })
    })

    it('nodes agree on one cluster, and one that belongs to another is told so', async () => {
      const name = cluster()
      const doors = [open(name), open(name), open(name)]
      const agree = (at: number, known?: string) =>
        agreeOnCluster(doors[at]!, new SeededRandom(at + 100), known)
      const ids = await Promise.all([agree(0), agree(1), agree(2)])
      expect(new Set(ids).size).toBe(1)
      expect(ids[0]).toMatch(/^[0-9a-f]{16}$/)
      expect(await agree(1, ids[0])).toBe(ids[0])
      await expect(agree(0, 'feed')).rejects.toMatchObject({ code: 'WRONG_CLUSTER' })
      const empty = open(cluster())
      await expect(agreeOnCluster(empty, new SeededRandom(1), ids[0])).rejects.toThrow('hold no cluster')
      expect((await empty.read(key('cluster/identity'))).value).toBeUndefined()
    })

    it('closed: nothing is asked any more', async () => {
      const registers = open(cluster())
      registers.watch(key('a'), () => {})
      await registers.close()
      expect(await registers.change(key('a'), append('x'), operation('x'))).toEqual({
        kind: 'not-applied',
        reason: 'closed',
      })
      await expect(registers.read(key('a'))).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    })
  },
)
