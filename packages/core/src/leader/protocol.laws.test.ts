/**
 * Replicas, leaders' views and elections together, over a network that delays, repeats, reorders and loses, with
 * leaders that do not know yet that they are none: whatever was committed stays, in one order, on everyone.
 */

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isQuorateError } from '../base/errors.ts'
import type { ByteString, Incarnation, NodeId, OperationId, Stamp, TableId } from '../base/ids.ts'
import { decodeDocument } from '../cells/document.ts'
import { ACKNOWLEDGEMENTS, type Acknowledgement, type AckRule } from '../leadership/acknowledgement.ts'
import { endOf, hasPoint, type LogPoint } from '../leadership/epoch-history.ts'
import { elected, firstLeadership, type Leadership, withInSync } from '../leadership/leadership.ts'
import { bodyOf, decodeBody, documentOf, effectOf, encodeBody } from './log-body.ts'
import { type AppendAnswer, type AppendRequest, type CutEntry, Replica } from './replica.ts'
import { Replication } from './replication.ts'
import { memoryStore } from './testing/memory-store.ts'

const named = {
  operation: 'o'.repeat(16) as OperationId,
  actor: 'a'.repeat(8) as Incarnation,
  stamp: 1 as Stamp,
}
const KEYS = 2
const key = (n: number): ByteString => `rkey${n}` as ByteString

const write = (n: number, text: string): Uint8Array => {
  const update = [{ op: 'append', path: ['l'], items: [{ value: text }] }] as const
  return encodeBody(
    bodyOf('statement', { ...named, key: key(n), statement: { update } }, undefined, undefined),
  )
}

type Act =
  | { readonly kind: 'write'; readonly by: number; readonly key: number }
  | { readonly kind: 'send' | 'beat'; readonly by: number; readonly to: number }
  | { readonly kind: 'deliver' | 'repeat' | 'lose'; readonly which: number }
  | { readonly kind: 'elect'; readonly voters: readonly number[] }
  | { readonly kind: 'shrink' | 'grow'; readonly by: number; readonly node: number }

interface Sent {
  readonly to: number
  readonly request: AppendRequest
  readonly by: number
  readonly epoch: number
}
interface Told {
  readonly from: number
  readonly by: number
  readonly epoch: number
  readonly answer: AppendAnswer | undefined
}

class World {
  readonly #rule: AckRule
  readonly #ids: readonly NodeId[]
  readonly #replicas: Replica[]
  readonly #views: (Replication | undefined)[]
  readonly #epochs: number[]
  #leadership: Leadership
  #requests: Sent[] = []
  #answers: Told[] = []
  #number = 0
  readonly #committed = new Map<number, { readonly point: LogPoint; readonly body: string }>()

  constructor(rule: AckRule) {
    this.#rule = rule
    this.#ids = Array.from({ length: rule.n }, (_, i) => `n${i}` as NodeId)
    this.#replicas = this.#ids.map(() => {
      const { store } = memoryStore()
      const onCut = (_: CutEntry) => []
      return new Replica({ store, table: 1 as TableId, partition: 1, onCut })
    })
    this.#views = this.#ids.map(() => undefined)
    this.#epochs = this.#ids.map(() => 0)
    this.#leadership = firstLeadership(this.#ids, this.#ids[0]!)
    this.#lead(0)
  }

  /** What whoever finds itself leader in the register does first. */
  #lead(at: number): void {
    const { epoch, inSync } = this.#leadership
    const { log } = this.#replicas[at]!
    log.append(epoch, log.end, [
      { epoch, body: encodeBody({ kind: 'epoch', leader: this.#ids[at]!, stamp: 1 as Stamp }) },
    ])
    const options = {
      rule: this.#rule,
      self: this.#ids[at]!,
      epoch,
      sets: [this.#ids],
      log,
      bytesMax: 60,
      pipeline: 3,
    }
    this.#views[at] = new Replication(options, log.shape.last, inSync)
    this.#epochs[at] = epoch
    this.#views[at].durableTo(log.shape.last)
  }

  step(act: Act): void {
    if (act.kind === 'write') this.#write(act.by, act.key)
    else if (act.kind === 'send' || act.kind === 'beat') this.#send(act.by, act.to, act.kind)
    else if (act.kind === 'elect') this.#elect(act.voters)
    else if (act.kind === 'shrink' || act.kind === 'grow') this.#change(act.by, act.node, act.kind)
    else if ('which' in act) this.#network(act.kind, act.which)
    for (const [at, view] of this.#views.entries()) if (view !== undefined) this.#note(at, view)
  }

  /** An old leader goes on as long as its own log lets it. */
  #write(by: number, n: number): void {
    const view = this.#views[by]
    const { log } = this.#replicas[by]!
    const epoch = this.#epochs[by]!
    if (view === undefined || log.fence > epoch) return
    log.append(epoch, log.end, [{ epoch, body: write(n, `${this.#number++}`) }])
    view.durableTo(log.shape.last)
  }

  #send(by: number, to: number, kind: 'send' | 'beat'): void {
    const view = this.#views[by]
    if (view === undefined || by === to || this.#replicas[by]!.log.fence > this.#epochs[by]!) return
    const request = kind === 'send' ? view.next(this.#ids[to]!) : view.heartbeat(this.#ids[to]!)
    if (request !== undefined) this.#requests.push({ by, to, request, epoch: this.#epochs[by]! })
  }

  #network(kind: 'deliver' | 'repeat' | 'lose', which: number): void {
    const all = this.#requests.length + this.#answers.length
    if (all === 0) return
    const at = which % all
    if (at < this.#requests.length) {
      const sent = this.#requests[at]!
      if (kind !== 'repeat') this.#requests.splice(at, 1)
      if (kind === 'lose')
        this.#answers.push({ from: sent.to, by: sent.by, epoch: sent.epoch, answer: undefined })
      else this.#arrive(sent)
      return
    }
    const index = at - this.#requests.length
    const told = this.#answers[index]!
    if (kind !== 'repeat') this.#answers.splice(index, 1)
    const view = this.#views[told.by]
    // Answers are told to whom the request was of, by the id of the request: another epoch's are not its own.
    if (view === undefined || this.#epochs[told.by] !== told.epoch) return
    if (told.answer === undefined || kind === 'lose') view.failed(this.#ids[told.from]!)
    else view.answered(this.#ids[told.from]!, told.answer)
  }

  #arrive({ by, to, request, epoch }: Sent): void {
    try {
      const { answer } = this.#replicas[to]!.append(request)
      this.#answers.push({ from: to, by, epoch, answer })
    } catch (error) {
      if (!isQuorateError(error) || error.code !== 'FENCED') throw error
    }
  }

  #elect(voters: readonly number[]): void {
    const { epoch } = this.#leadership
    // Fenced before they answer; what comes of it is the register's to say.
    for (const at of voters) this.#replicas[at]!.log.raiseFence(epoch + 1)
    const votes = voters.map(at => ({ node: this.#ids[at]!, end: endOf(this.#replicas[at]!.log.shape) }))
    const next = elected(this.#leadership, { rule: this.#rule, seenEpoch: epoch, votes, preferred: [] })
    if (typeof next === 'string') return
    this.#leadership = next
    this.#lead(this.#ids.indexOf(next.leader!))
  }

  #change(by: number, node: number, kind: 'shrink' | 'grow'): void {
    const view = this.#views[by]
    if (view === undefined || this.#rule.ack !== 'in-sync' || by === node) return
    const id = this.#ids[node]!
    const { inSync } = this.#leadership
    // Who comes in has everything, and counts from the moment it is asked for.
    if (kind === 'grow' && view.lagOf(id) > 0) return
    const wanted = kind === 'grow' ? [...new Set([...inSync, id])] : inSync.filter(other => other !== id)
    if (wanted.length < this.#rule.minInSync) return
    const next = withInSync(this.#leadership, { node: this.#ids[by]!, epoch: this.#epochs[by]! }, wanted)
    if (typeof next === 'string') return
    this.#leadership = next
    view.setInSync(next.inSync)
  }

  /** Carries out what is committed, as its client hears of it, and holds it to all that was committed before. */
  #note(at: number, view: Replication): void {
    const replica = this.#replicas[at]!
    if (replica.log.fence > this.#epochs[at]!) return
    replica.commit(Math.max(replica.carriedOut, view.committed))
    for (let position = 1; position <= view.committed; position++) {
      const { epoch, body } = replica.log.entry(position)
      const known = this.#committed.get(position)
      const now = { point: { epoch, position }, body: body.join() }
      if (known === undefined) this.#committed.set(position, now)
      else expect(now).toEqual(known)
    }
  }

  /** The newest leader has everything that was ever committed; and every replica's rows are those of its log. */
  check(): void {
    const leader = this.#replicas[this.#ids.indexOf(this.#leadership.leader!)]!
    for (const { point } of this.#committed.values()) expect(hasPoint(leader.log.shape, point)).toBe(true)
    for (const replica of this.#replicas) {
      const rows = new Map<ByteString, Uint8Array>()
      for (let at = 1; at <= replica.carriedOut; at++)
        for (const { key, cell } of effectOf(decodeBody(replica.log.entry(at).body), key => rows.get(key)))
          rows.set(key, documentOf(cell)!)
      for (let n = 0; n < KEYS; n++) {
        const [row, wanted] = [replica.row(key(n)), rows.get(key(n))]
        expect(row && decodeDocument(row)).toEqual(wanted && decodeDocument(wanted))
      }
    }
  }

  /** With a network that works, everyone gets everything. */
  settle(): void {
    this.#requests = []
    this.#answers = []
    // Elections that came to nothing have left fences: whoever is refused for one asks for an epoch beyond it.
    this.#elect(this.#ids.map((_, at) => at))
    const at = this.#ids.indexOf(this.#leadership.leader!)
    for (let i = 0; i < 2_000; i++) {
      for (let to = 0; to < this.#ids.length; to++) this.#send(at, to, i % 4 === 3 ? 'beat' : 'send')
      while (this.#requests.length + this.#answers.length > 0) this.#network('deliver', 0)
      for (const [node, view] of this.#views.entries()) if (view !== undefined) this.#note(node, view)
      const { last } = this.#replicas[at]!.log.shape
      if (this.#replicas.every(({ carriedOut }) => carriedOut === last)) return
    }
    // With a set smaller than its minimum nothing is committed any more: that is what it is for.
    expect(this.#rule.ack === 'in-sync' && this.#leadership.inSync.length < this.#rule.minInSync).toBe(true)
  }
}

const actOf = (n: number): fc.Arbitrary<Act> => {
  const node = fc.nat(n - 1)
  const one = <K extends string>(...kinds: K[]) => fc.constantFrom(...kinds)
  return fc.oneof(
    { weight: 3, arbitrary: fc.record({ kind: one('write'), by: node, key: fc.nat(KEYS - 1) }) },
    { weight: 6, arbitrary: fc.record({ kind: one('send', 'send', 'beat'), by: node, to: node }) },
    {
      weight: 8,
      arbitrary: fc.record({
        kind: one('deliver', 'deliver', 'deliver', 'repeat', 'lose'),
        which: fc.nat(50),
      }),
    },
    { weight: 1, arbitrary: fc.record({ kind: one('elect'), voters: fc.uniqueArray(node) }) },
    { weight: 1, arbitrary: fc.record({ kind: one('shrink', 'grow'), by: node, node }) },
  ) as fc.Arbitrary<Act>
}

const worlds = (ack: Acknowledgement) =>
  fc.integer({ min: ack === 'one' ? 2 : 1, max: 5 }).chain(n =>
    fc.record({
      rule: fc.record({
        ack: fc.constant(ack),
        n: fc.constant(n),
        minInSync: fc.integer({ min: 1, max: n }),
      }),
      acts: fc.array(actOf(n), { maxLength: 120 }),
    }),
  )

describe('the protocol', () => {
  it.each(
    ACKNOWLEDGEMENTS,
  )('keeps what it committed under "%s", in one order, and ends equal everywhere', ack => {
    fc.assert(
      fc.property(worlds(ack), ({ rule, acts }) => {
        const world = new World(rule)
        for (const act of acts) world.step(act)
        world.check()
        world.settle()
        world.check()
      }),
      { numRuns: 400 },
    )
  })
})
