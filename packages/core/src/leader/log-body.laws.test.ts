import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { ByteString, Incarnation, OperationId, Stamp } from '../base/ids.ts'
import { decodeDocument, encodeDocument } from '../cells/document.ts'
import { LOG_KINDS, type LogKind } from '../leadership/log-kinds.ts'
import { type CallSource, freezeUpdate } from '../updates/apply-update.ts'
import type { Update } from '../updates/update.ts'
import {
  bodyOf,
  type Change,
  decodeBody,
  documentOf,
  effectOf,
  encodeBody,
  execute,
  type LogBody,
  STORE_FORMAT,
  whyUnfrozen,
} from './log-body.ts'

const operation = 'o'.repeat(16) as OperationId
const named = { operation, actor: 'a'.repeat(8) as Incarnation, stamp: 7 as Stamp, causes: undefined }
const key = (n: number): ByteString => `rkey${n}` as ByteString

/** Calls that answer differently on each replica. */
function callsOfReplica(replica: number): CallSource {
  let n = replica * 1_000
  return { now: () => ++n, random: () => ++n / 1e6, uuid: () => `u${++n}`, id: () => BigInt(++n) }
}

const step = fc.constantFrom<Update[number]>(
  { op: 'increment', path: ['n'], by: { value: 1 } },
  { op: 'increment', path: ['r'], by: { call: 'random' } },
  { op: 'set', path: ['at'], to: { call: 'now' } },
  { op: 'append', path: ['ids'], items: [{ call: 'id' }, { value: 'x' }] },
  { op: 'remove', path: ['at'] },
)

const changes = fc.array(
  fc.record({
    key: fc.nat(3).map(key),
    statement: fc.oneof(
      fc.integer().map(n => ({ put: encodeDocument({ n }) })),
      fc.constant({ delete: true as const }),
      fc.array(step, { minLength: 1, maxLength: 3 }).map(update => ({ update })),
    ),
  }),
  { maxLength: 20 },
)

class Replica {
  readonly rows = new Map<ByteString, Uint8Array>()

  take(bytes: Uint8Array, freeze: (body: LogBody) => LogBody = body => body): void {
    for (const { key, cell } of effectOf(freeze(decodeBody(bytes)), key => this.rows.get(key))) {
      if (cell === undefined) this.rows.delete(key)
      else this.rows.set(key, documentOf(cell)!)
    }
  }

  get content(): unknown {
    return [...this.rows].sort().map(([key, value]) => [key, decodeDocument(value)])
  }
}

describe('entries', () => {
  it('of all three kinds make the same rows of the same log', () => {
    fc.assert(
      fc.property(changes, list => {
        const source = callsOfReplica(1)
        const leader = new Map<ByteString, Uint8Array>()
        const followers = new Map<LogKind, Replica>(LOG_KINDS.map(kind => [kind, new Replica()]))
        for (const { key, statement: asked } of list) {
          const statement = 'update' in asked ? { update: freezeUpdate(asked.update, source) } : asked
          const change: Change = { ...named, key, statement }
          expect(whyUnfrozen(statement)).toBeUndefined()
          const before = leader.get(key)
          const after = execute(statement, before)
          if (after === undefined) leader.delete(key)
          else leader.set(key, after)
          for (const [kind, follower] of followers)
            follower.take(encodeBody(bodyOf(kind, change, before, after)))
        }
        const wanted = [...leader].sort().map(([key, value]) => [key, decodeDocument(value)])
        for (const follower of followers.values()) expect(follower.content).toEqual(wanted)
      }),
    )
  })

  it('whose calls are executed by each replica for itself part; it is told why before', () => {
    const update: Update = [{ op: 'set', path: ['at'], to: { call: 'now' } }]
    const change: Change = { ...named, key: key(1), statement: { update } }
    expect(whyUnfrozen(change.statement)).toBe('every replica that executes the statement has another now()')
    const bytes = encodeBody(bodyOf('statement', change, undefined, undefined))
    const [a, b] = [new Replica(), new Replica()]
    // A follower that executes what it is sent: as `freeze: false` has it.
    for (const [at, replica] of [a, b].entries())
      replica!.take(bytes, body => {
        if (body.kind !== 'statement') return body
        const frozen = { update: freezeUpdate(update, callsOfReplica(at)) }
        return bodyOf('statement', { ...named, key: body.key, statement: frozen }, undefined, undefined)
      })
    expect(a!.content).not.toEqual(b!.content)
    expect(() => new Replica().take(bytes)).toThrow(/must be frozen/)
  })

  it('of another store format are refused with the reason', () => {
    const body: LogBody = { kind: 'physical', ...named, format: STORE_FORMAT + 1, writes: [] }
    expect(() => new Replica().take(encodeBody(body))).toThrow(/store format 2 is of no use/)
  })

  it('of an epoch change nothing, and rows that are no maps are not updated', () => {
    const replica = new Replica()
    replica.take(encodeBody({ kind: 'epoch', leader: 'n1' as never, stamp: 1 as Stamp }))
    expect(replica.content).toEqual([])
    const update: Update = [{ op: 'increment', path: ['n'], by: { value: 1 } }]
    expect(() => execute({ update }, encodeDocument([1]))).toThrow(/no map of fields/)
  })
})
