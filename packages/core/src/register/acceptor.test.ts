import { describe, expect, it } from 'vitest'
import type { ByteString, Incarnation, NodeId } from '../base/ids.ts'
import { randomBelow, SeededRandom } from '../base/prng.ts'
import {
  admit,
  type FenceState,
  newFenceState,
  type RegisterState,
  stepFence,
  stepRegister,
} from './acceptor.ts'
import { type Ballot, ballotsEqual, ballotZero, compareBallots } from './ballot.ts'
import { finalConfig, firstConfig, jointConfig } from './register-config.ts'

const key = 'k' as ByteString
const inc = (name: string) => name as string as Incarnation
const voter = (node: string) => ({ node: node as NodeId, incarnation: inc(`${node}#1`) })
const ballot = (counter: number, node = 'p'): Ballot => ({
  counter,
  node: node as NodeId,
  incarnation: inc('p#1'),
  life: 1,
})
const bytes = (n: number) => Uint8Array.of(n)
const genesis = firstConfig(['a', 'b', 'c'].map(voter))
const fence: FenceState = { ...newFenceState('a' as NodeId, inc('a#1')), config: genesis, joined: 1 }
const to = { incarnation: inc('a#1'), joined: 1, epoch: 1, key }

const prepare = (state: RegisterState | undefined, b: Ballot, f = fence) =>
  stepRegister(f, state, { kind: 'prepare', ...to, ballot: b })
const accept = (state: RegisterState | undefined, b: Ballot, value: Uint8Array | undefined, f = fence) =>
  stepRegister(f, state, { kind: 'accept', ...to, ballot: b, value })
const erase = (state: RegisterState | undefined, b: Ballot, f = fence) =>
  stepRegister(f, state, { kind: 'erase', ...to, ballot: b })
const stateOf = (step: { register?: RegisterState | 'absent' }) => step.register as RegisterState

describe('acceptor', () => {
  it('promises a higher ballot once, and tells what it accepted', () => {
    const first = prepare(undefined, ballot(1))
    expect(first.reply).toEqual({ kind: 'promised', accepted: ballotZero, value: undefined })
    const accepted = accept(stateOf(first), ballot(1), bytes(7))
    expect(accepted.reply.kind).toBe('accepted')
    expect(prepare(stateOf(accepted), ballot(2)).reply).toEqual({
      kind: 'promised',
      accepted: ballot(1),
      value: bytes(7),
    })
    expect(prepare(stateOf(first), ballot(1)).reply).toEqual({ kind: 'refused', counter: 1 })
  })

  it('refuses lower ballots with what it promised', () => {
    const promised = stateOf(prepare(undefined, ballot(5)))
    expect(prepare(promised, ballot(4)).reply).toEqual({ kind: 'refused', counter: 5 })
    expect(accept(promised, ballot(4), bytes(1)).reply).toEqual({ kind: 'refused', counter: 5 })
    expect(accept(promised, ballot(5, 'o'), bytes(1)).reply).toEqual({ kind: 'refused', counter: 5 })
  })

  it('an accept that comes twice changes nothing the second time', () => {
    const once = stateOf(accept(undefined, ballot(1), bytes(1)))
    expect(accept(once, ballot(1), bytes(1))).toEqual({ reply: { kind: 'accepted' } })
  })

  it('peeking promises nothing', () => {
    expect(stepRegister(fence, undefined, { kind: 'peek', ...to }).register).toBeUndefined()
  })

  it('refuses a lower config epoch with the newer config, and whoever is not meant', () => {
    const newer: FenceState = { ...fence, config: jointConfig(genesis, ['a', 'b', 'd'].map(voter)) }
    const request = { kind: 'prepare' as const, ...to, ballot: ballot(1) }
    expect(admit(newer, request)).toEqual({ kind: 'stale-config', config: newer.config })
    expect(admit(fence, { ...request, incarnation: inc('a#2') })?.kind).toBe('wrong-incarnation')
    expect(admit(fence, { ...request, joined: 3 })?.kind).toBe('wrong-incarnation')
    expect(admit(newFenceState('a' as NodeId, inc('a#1')), { ...request, joined: 0 })?.kind).toBe(
      'wrong-incarnation',
    )
    expect(admit(fence, request)).toBeUndefined()
    expect(admit(fence, { ...request, epoch: 2 })).toBeUndefined()
  })

  it('lists and erases only under a config it knows', () => {
    expect(admit(fence, { kind: 'keys', ...to, epoch: 2, after: undefined, limit: 1 })?.kind).toBe('behind')
    expect(admit(fence, { kind: 'erase', ...to, epoch: 2, ballot: ballot(1) })?.kind).toBe('behind')
  })

  it('erases exactly the tombstone, raises the floor, and then refuses what is below it', () => {
    const tombstone = stateOf(accept(undefined, ballot(5), undefined))
    expect(erase(tombstone, ballot(4)).reply.kind).toBe('kept')
    const value = stateOf(accept(undefined, ballot(5), bytes(1)))
    expect(erase(value, ballot(5)).reply.kind).toBe('kept')
    const promisedMore = stateOf(prepare(tombstone, ballot(6)))
    expect(erase(promisedMore, ballot(5)).reply.kind).toBe('kept')
    const erased = erase(tombstone, ballot(5))
    expect(erased).toMatchObject({ reply: { kind: 'erased' }, register: 'absent', fence: { erasedFloor: 5 } })
    expect(accept(undefined, ballot(5, 'z'), bytes(1), erased.fence).reply).toEqual({
      kind: 'refused',
      counter: 5,
    })
    expect(prepare(undefined, ballot(3), erased.fence).reply).toEqual({ kind: 'refused', counter: 5 })
    expect(prepare(undefined, ballot(6), erased.fence).reply.kind).toBe('promised')
    // A register that exists is not touched by the floor of another one.
    expect(accept(stateOf(prepare(undefined, ballot(2))), ballot(2), bytes(1), erased.fence).reply.kind).toBe(
      'accepted',
    )
    expect(erase(undefined, ballot(5), erased.fence).reply.kind).toBe('erased')
  })

  it('erases nothing while a change of acceptors is under way', () => {
    const tombstone = stateOf(accept(undefined, ballot(5), undefined))
    const joint: FenceState = { ...fence, config: jointConfig(genesis, ['a', 'b', 'd'].map(voter)) }
    expect(erase(tombstone, ballot(5), joint)).toEqual({ reply: { kind: 'kept' } })
  })

  it('fences only grow; joining anew starts with no floor but the one it is told', () => {
    const joint = jointConfig(genesis, ['a', 'b', 'd'].map(voter))
    const learn = (f: FenceState, config = joint, erasedFloor = 0) =>
      stepFence(f, { kind: 'fence', incarnation: f.incarnation, config, erasedFloor })
    const once = learn({ ...fence, erasedFloor: 9 })
    expect(once.fence).toMatchObject({ config: { epoch: 2 }, joined: 1, erasedFloor: 9 })
    expect(learn(once.fence!).fence).toBeUndefined()
    expect(learn(once.fence!, genesis).reply.kind).toBe('stale-config')
    // c leaves, and comes back: another acceptor, empty, although its disk is the same.
    const c: FenceState = {
      ...newFenceState('c' as NodeId, inc('c#1')),
      config: genesis,
      joined: 1,
      erasedFloor: 9,
    }
    const final = finalConfig(joint)
    const back = jointConfig(final, ['a', 'b', 'c'].map(voter))
    expect(learn(c, final).fence).toMatchObject({ joined: 1 })
    expect(learn(c, back, 4).fence).toMatchObject({ joined: 4, erasedFloor: 4 })
  })

  it('random steps: promises never fall, accepted <= promised, a ballot keeps its value', () => {
    const random = new SeededRandom(1)
    for (let round = 0; round < 300; round++) {
      let state: RegisterState | undefined
      let floor = fence
      const values = new Map<string, number>()
      for (let step = 0; step < 40; step++) {
        const b = ballot(1 + randomBelow(random, 8), 'pqr'[randomBelow(random, 3)]!)
        const name = `${b.counter}${b.node}`
        if (!values.has(name)) values.set(name, randomBelow(random, 4))
        const value = values.get(name) === 0 ? undefined : bytes(values.get(name)!)
        const roll = randomBelow(random, 5)
        const done =
          roll < 2
            ? prepare(state, b, floor)
            : roll < 4
              ? accept(state, b, value, floor)
              : erase(state, b, floor)
        if (done.fence !== undefined) floor = done.fence
        if (done.register === 'absent') {
          expect(floor.erasedFloor).toBeGreaterThanOrEqual(state!.promised.counter)
          state = undefined
        } else if (done.register !== undefined) {
          if (state !== undefined)
            expect(compareBallots(done.register.promised, state.promised)).toBeGreaterThanOrEqual(0)
          else expect(done.register.promised.counter).toBeGreaterThan(floor.erasedFloor)
          state = done.register
          expect(compareBallots(state.accepted, state.promised)).toBeLessThanOrEqual(0)
          if (!ballotsEqual(state.accepted, ballotZero)) {
            const wanted = values.get(`${state.accepted.counter}${state.accepted.node}`)
            expect(state.value?.[0] ?? 0).toBe(wanted)
          }
        }
      }
    }
  })
})
