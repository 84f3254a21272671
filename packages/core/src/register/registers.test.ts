import { describe, expect, it } from 'vitest'
import type { ByteString, Incarnation, NodeId, OperationId } from '../base/ids.ts'
import { changeRegister, readRegister } from './changes.ts'
import { collectRegister } from './collect.ts'
import { ConfigChange } from './config-change.ts'
import { decodeConfig, encodeConfig, finalConfig, firstConfig, jointConfig } from './register-config.ts'
import { registersConformance } from './registers.conformance.ts'
import { EmbeddedRegisters } from './registers.ts'
import { RegisterWorld } from './testing/register-world.ts'

declare const setImmediate: (run: () => void) => void
const settle = () => new Promise<void>(resolve => setImmediate(resolve))

/** Virtual time moves while `work` is not done; bounded. */
async function drive<T>(world: RegisterWorld, work: Promise<T>): Promise<T> {
  let ended = false
  const end = () => {
    ended = true
  }
  work.then(end, end)
  await settle()
  for (let events = 0; !ended && events < 100_000; events++) {
    world.clock.step(world.clock.monotonicMs() + 50)
    await settle()
  }
  return work
}

describe('embedded registers', () => {
  for (const conformance of registersConformance) {
    it(conformance.name, async () => {
      const world = new RegisterWorld(1, ['n1', 'n2', 'n3'], 3)
      const under = {
        one: new EmbeddedRegisters({ proposer: world.node('n1').proposer! }),
        two: new EmbeddedRegisters({ proposer: world.node('n2').proposer! }),
        close: async () => {},
      }
      await drive(
        world,
        conformance.run(async () => under),
      )
    })
  }

  it('without a majority: not applied when nothing was sent to accept, unknown when it was', () => {
    const outcomes: string[] = []
    const world = new RegisterWorld(1, ['n1', 'n2', 'n3'], 3, {
      handle: (node, message) => node.id !== 'n1' && message.kind === 'accept',
    })
    const proposer = world.node('n1').proposer!
    const ask = (n: number) =>
      changeRegister(
        proposer,
        {
          key: 'k' as ByteString,
          operationId: `op${n}`.padStart(16) as OperationId,
          change: () => ({ value: Uint8Array.of(n) }),
          deadlineMs: world.clock.monotonicMs() + 500,
        },
        outcome => outcomes.push(outcome.kind),
      )
    ask(1)
    world.clock.advance(1000)
    world.crash(world.node('n2'))
    world.crash(world.node('n3'))
    ask(2)
    world.clock.advance(1000)
    expect(outcomes).toEqual(['unknown', 'not-applied'])
  })

  it('a deleted register is collected from every acceptor, and its versions go on', async () => {
    const world = new RegisterWorld(2, ['n1', 'n2', 'n3'], 3)
    const proposer = world.node('n1').proposer!
    const registers = new EmbeddedRegisters({ proposer })
    const [key, other] = ['k' as ByteString, 'o' as ByteString]
    const op = (n: number) => `op${n}`.padStart(16) as OperationId
    await drive(world, registers.compareAndSet(other, 0, Uint8Array.of(9), op(0)))
    await drive(world, registers.compareAndSet(key, 0, Uint8Array.of(1), op(1)))
    const deleted = await drive(world, registers.delete(key, op(2)))
    expect(deleted.kind).toBe('committed')
    const version = deleted.kind === 'committed' ? deleted.version : 0
    const before = world.node('n1').store.status().memtableEntries
    const outcomes: string[] = []
    const collect = (v: number) =>
      collectRegister(proposer, key, v, world.clock.monotonicMs() + 1000, outcome => outcomes.push(outcome))
    collect(version - 1)
    world.clock.advance(2000)
    collect(version)
    world.clock.advance(2000)
    expect(outcomes).toEqual(['not-deleted', 'collected'])
    for (const id of ['n1', 'n2', 'n3'])
      expect(world.node(id).store.status().memtableEntries).toBe(before - 1)
    expect(await drive(world, registers.read(key))).toEqual({ version: 0, value: undefined })
    const again = await drive(world, registers.compareAndSet(key, 0, Uint8Array.of(2), op(3)))
    expect(again.kind === 'committed' && again.version > version).toBe(true)
  })

  it('a read of settled registers writes nothing', async () => {
    const world = new RegisterWorld(3, ['n1', 'n2', 'n3'], 3)
    const registers = new EmbeddedRegisters({ proposer: world.node('n1').proposer! })
    await drive(
      world,
      registers.compareAndSet('k' as ByteString, 0, Uint8Array.of(1), 'x'.padStart(16) as OperationId),
    )
    world.clock.advance(100)
    const handed = () => ['n1', 'n2', 'n3'].map(id => world.node(id).store.handed)
    const before = handed()
    await drive(world, registers.read('k' as ByteString))
    await drive(world, registers.read('never' as ByteString))
    expect(handed()).toEqual(before)
  })
})

describe('change of acceptors', () => {
  const read = (world: RegisterWorld, id: string): Promise<number | undefined> =>
    drive(
      world,
      new Promise(resolve =>
        readRegister(world.node(id).proposer!, 'k' as ByteString, world.clock.monotonicMs() + 3000, outcome =>
          resolve(outcome.kind === 'value' ? outcome.current.value?.[0] : -1),
        ),
      ),
    )

  it('3 → 4 → 5 → 3, and a wiped acceptor replaced, keep every value; a driver that dies is resumed', async () => {
    const ids = ['n1', 'n2', 'n3', 'n4', 'n5', 'n6']
    const world = new RegisterWorld(4, ids, 3)
    const registers = new EmbeddedRegisters({ proposer: world.node('n1').proposer! })
    await drive(
      world,
      registers.change(
        'k' as ByteString,
        () => ({ value: Uint8Array.of(7) }),
        'y'.padStart(16) as OperationId,
      ),
    )
    const change = (driver: string, members: string[]) =>
      drive(
        world,
        new ConfigChange(world.node(driver).proposer!, world.clock.monotonicMs() + 10_000).run(
          members.map(id => world.voter(id)),
        ),
      )
    for (const members of [
      ['n1', 'n2', 'n3', 'n4'],
      ['n1', 'n2', 'n3', 'n4', 'n5'],
      ['n4', 'n5', 'n6'],
    ]) {
      expect((await change('n1', members)).kind).toBe('done')
      expect(await read(world, 'n2')).toBe(7)
    }
    world.wipe(world.node('n5'))
    world.clock.advance(10)
    expect((await change('n6', ['n4', 'n5', 'n6'])).kind).toBe('done')
    world.crash(world.node('n4'))
    expect(await read(world, 'n6')).toBe(7)
    world.restart(world.node('n4'))
    // The driver proposes the joint config and dies; another resumes.
    const dying = world.node('n6').proposer!
    const target = ids.slice(0, 3).map(id => world.voter(id))
    void new ConfigChange(dying, world.clock.monotonicMs() + 10_000).run(target)
    for (let events = 0; events < 10_000 && dying.config.joint === undefined; events++) {
      world.clock.step(world.clock.monotonicMs() + 5)
      await settle()
    }
    expect(dying.config.joint).toBeDefined()
    world.crash(world.node('n6'))
    const resumed = await drive(
      world,
      new ConfigChange(world.node('n4').proposer!, world.clock.monotonicMs() + 10_000).resume(),
    )
    expect(resumed).toMatchObject({ kind: 'done', config: { joint: undefined } })
    if (resumed.kind === 'done')
      expect(resumed.config.acceptors.map(id => id.node)).toEqual(['n1', 'n2', 'n3'])
    expect(await read(world, 'n1')).toBe(7)
  })

  it('a former acceptor comes back empty: what was deleted and collected meanwhile stays deleted', async () => {
    const world = new RegisterWorld(5, ['n1', 'n2', 'n3', 'n4'], 3)
    const proposer = world.node('n1').proposer!
    const registers = new EmbeddedRegisters({ proposer })
    const key = 'k' as ByteString
    const op = (n: number) => `op${n}`.padStart(16) as OperationId
    const changeTo = async (...members: string[]) => {
      const change = new ConfigChange(proposer, world.clock.monotonicMs() + 10_000)
      const outcome = await drive(world, change.run(members.map(id => world.voter(id))))
      expect(outcome.kind).toBe('done')
    }
    await drive(world, registers.compareAndSet(key, 0, Uint8Array.of(1), op(1)))
    world.crash(world.node('n3'))
    await changeTo('n1', 'n2', 'n4')
    const deleted = await drive(world, registers.delete(key, op(2)))
    const collected = await drive(
      world,
      new Promise(resolve =>
        collectRegister(
          proposer,
          key,
          deleted.kind === 'committed' ? deleted.version : 0,
          world.clock.monotonicMs() + 1000,
          resolve,
        ),
      ),
    )
    expect(collected).toBe('collected')
    world.restart(world.node('n3'))
    world.clock.advance(10)
    expect(world.node('n3').host.config?.epoch).toBe(1)
    await changeTo('n1', 'n2', 'n3')
    world.crash(world.node('n2'))
    expect(await drive(world, registers.read(key))).toEqual({ version: 0, value: undefined })
  })

  it('configs survive their encoding, and refuse nonsense', () => {
    const voter = (id: string) => ({
      node: id as NodeId,
      incarnation: `${id}#é`.slice(0, 3) as string as Incarnation,
    })
    const first = firstConfig(['c', 'a', 'b'].map(voter))
    const joint = jointConfig(first, ['a', 'd'].map(voter))
    for (const config of [first, joint, finalConfig(joint)])
      expect(decodeConfig(encodeConfig(config))).toEqual(config)
    expect(first.acceptors.map(id => id.node)).toEqual(['a', 'b', 'c'])
    expect(joint.acceptors.map(id => id.joined)).toEqual([1, 2])
    expect(() => firstConfig([])).toThrow()
    expect(() => firstConfig([voter('a'), voter('a')])).toThrow()
    expect(() => jointConfig(joint, [voter('a')])).toThrow()
    expect(() => decodeConfig(encodeConfig(first).subarray(0, 20))).toThrow()
  })
})
