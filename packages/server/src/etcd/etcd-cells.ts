/**
 * The keys of one cluster in etcd, and the four things done with them: look, replace, fence, collect.
 *
 * Layout: `quorate/<name>/r/<register key>` holds a register; `quorate/<name>/fence` is written whenever
 * a transaction that expects some register to be *absent* must be ruled out.
 *
 * Problem: a transaction sent by a call that gave up may land at any later time. One that expects
 * mod_revision r can land only while the key is at r, and a key never comes back to a revision; but a key can
 * come back to "absent" (created, deleted, collected), and an old creation would then land on it.
 * Mechanism: every creation also expects the fence at the revision seen in the same look, and collecting a
 * deleted register moves the fence. So no transaction can land after the state it was decided on has passed.
 */

import { type ByteString, bytesToBase64, stringToBytes } from '@quorate/core'
import { type FoundCell, readCell, touchedCell } from './etcd-cell.ts'
import {
  type EtcdAnswer,
  type EtcdGateway,
  type KeyValue,
  rangeSchema,
  transactionSchema,
} from './etcd-gateway.ts'

export interface Look {
  readonly cell: FoundCell
  /** mod_revision of the fence; 0: it was never written. */
  readonly fence: number
}

export interface Replaced {
  readonly done: boolean
  /** What is there instead; absent when done. */
  readonly now: Look | undefined
  /** etcd's revision at this transaction: the new mod_revision when done. */
  readonly revision: number
}

interface Compare {
  readonly key: string
  readonly target: 'MOD'
  readonly result: 'EQUAL'
  readonly mod_revision: string
}

const expect = (key: string, revision: number): Compare => ({
  key,
  target: 'MOD',
  result: 'EQUAL',
  mod_revision: String(revision),
})
const put = (key: string, value: Uint8Array) => ({ request_put: { key, value: bytesToBase64(value) } })
const range = (key: string) => ({ request_range: { key } })

/** The first key after all that start with `prefix`. */
const prefixEnd = (prefix: string): string =>
  prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1)

export class EtcdCells {
  readonly #gateway: EtcdGateway
  readonly #prefix: string
  readonly #fence: string

  constructor(gateway: EtcdGateway, name: string) {
    this.#gateway = gateway
    this.#prefix = `quorate/${name}/r/`
    this.#fence = encoded(`quorate/${name}/fence`)
  }

  /** The range of all registers, as etcd takes it. */
  get all(): { readonly key: string; readonly range_end: string } {
    return { key: encoded(this.#prefix), range_end: encoded(prefixEnd(this.#prefix)) }
  }

  /** The register a key of etcd stands for. */
  registerOf(etcdKey: string): ByteString | undefined {
    const key = Buffer.from(etcdKey, 'base64').toString('latin1')
    return key.startsWith(this.#prefix) ? (key.slice(this.#prefix.length) as ByteString) : undefined
  }

  /** Linearizable: the ranges are not serializable ones, so the leader confirms them. */
  async look(key: ByteString, deadlineMs: number): Promise<EtcdAnswer<Look>> {
    const body = { success: this.#ranges(key) }
    const answer = await this.#gateway.ask('/v3/kv/txn', body, transactionSchema, deadlineMs)
    return answer.kind === 'failed' ? answer : this.#lookIn(key, answer.body.responses)
  }

  /** Writes `value` if the register is still as seen. */
  async replace(
    key: ByteString,
    seen: Look,
    value: Uint8Array,
    deadlineMs: number,
  ): Promise<EtcdAnswer<Replaced>> {
    return this.#transact(key, seen, [put(this.#key(key), value)], deadlineMs)
  }

  /** After a definite answer, done or not, nothing that was decided on what was seen can land any more. */
  async fence(key: ByteString, seen: Look, deadlineMs: number): Promise<EtcdAnswer<Replaced>> {
    const write =
      seen.cell.revision === 0
        ? put(this.#fence, Uint8Array.of(1))
        : put(this.#key(key), touchedCell(seen.cell.register))
    return this.#transact(key, seen, [write], deadlineMs)
  }

  /** Removes the key of a deleted register if it is still as seen. */
  async collect(key: ByteString, seen: Look, deadlineMs: number): Promise<EtcdAnswer<Replaced>> {
    const remove = { request_delete_range: { key: this.#key(key) } }
    return this.#transact(key, seen, [remove, put(this.#fence, Uint8Array.of(1))], deadlineMs)
  }

  /** The mod_revision of every register's key, and etcd's revision at that moment. */
  async revisions(
    deadlineMs: number,
  ): Promise<EtcdAnswer<{ readonly at: number; readonly of: ReadonlyMap<ByteString, number> }>> {
    const body = { ...this.all, keys_only: true }
    const answer = await this.#gateway.ask('/v3/kv/range', body, rangeSchema, deadlineMs)
    if (answer.kind === 'failed') return answer
    const of = new Map<ByteString, number>()
    for (const found of answer.body.kvs) of.set(this.registerOf(found.key)!, found.mod_revision)
    return { kind: 'answer', body: { at: answer.body.header.revision, of } }
  }

  async #transact(
    key: ByteString,
    seen: Look,
    success: readonly unknown[],
    deadlineMs: number,
  ): Promise<EtcdAnswer<Replaced>> {
    const { revision } = seen.cell
    const compare = [expect(this.#key(key), revision)]
    if (revision === 0) compare.push(expect(this.#fence, seen.fence))
    const body = { compare, success, failure: this.#ranges(key) }
    const answer = await this.#gateway.ask('/v3/kv/txn', body, transactionSchema, deadlineMs)
    if (answer.kind === 'failed') return answer
    const { succeeded, responses, header } = answer.body
    if (succeeded) return { kind: 'answer', body: { done: true, now: undefined, revision: header.revision } }
    const now = this.#lookIn(key, responses)
    return now.kind === 'failed'
      ? now
      : { kind: 'answer', body: { done: false, now: now.body, revision: header.revision } }
  }

  #lookIn(
    key: ByteString,
    responses: readonly { readonly response_range?: { readonly kvs: readonly KeyValue[] } | undefined }[],
  ): EtcdAnswer<Look> {
    const [found, fence] = responses.map(response => response.response_range?.kvs[0])
    const cell = readCell(found)
    if (cell === undefined) {
      const reason = `the register ${JSON.stringify(key)} holds in etcd what Quorate did not write`
      return { kind: 'failed', sent: false, permanent: true, reason }
    }
    return { kind: 'answer', body: { cell, fence: fence?.mod_revision ?? 0 } }
  }

  #ranges(key: ByteString): readonly unknown[] {
    return [range(this.#key(key)), range(this.#fence)]
  }

  #key(key: ByteString): string {
    return encoded(this.#prefix + key)
  }
}

const encoded = (key: string): string => bytesToBase64(stringToBytes(key))
