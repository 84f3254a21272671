/**
 * Which acceptors hold the registers.
 *
 * Problem: quorums of two different acceptor sets need not meet. Mechanism: a config has an epoch and
 * one set, or, while a change is under way, two (`joint` is the old one): prepare *and* accept then need
 * a majority in both. An acceptor is named by (node, store incarnation, the epoch in which it joined):
 * a wiped disk and a returning former member are both *new*, empty acceptors.
 * Invariants: epoch >= 1; sets are not empty, sorted by node, no node twice in one set;
 * `joined <= epoch`; epochs of successive configs differ by exactly one.
 * References: Rystsov, "CASPaxos: Replicated State Machines without logs" (2018), §2.3; Ongaro,
 * "Consensus: Bridging Theory and Practice" (2014), §4.3 for joint quorums. SPEC.md says why.
 */

import { assert } from '../base/assert.ts'
import { stringToHex } from '../base/bytes.ts'
import { type ByteString, compareStrings, type Incarnation, type NodeId } from '../base/ids.ts'
import { majorityOf, type ReplicaSet } from '../quorum/quorum-tally.ts'
import { RecordReader, RecordWriter } from './record-codec.ts'

/** A node and the store it runs on. */
export interface Voter {
  readonly node: NodeId
  readonly incarnation: Incarnation
}

export interface AcceptorId extends Voter {
  /** Epoch of the config that added it. States from an earlier membership do not count. */
  readonly joined: number
}

export interface RegisterConfig {
  readonly epoch: number
  readonly acceptors: readonly AcceptorId[]
  /** The acceptors that are being replaced; undefined when no change is under way. */
  readonly joint: readonly AcceptorId[] | undefined
}

/** The register that holds the config itself. It is rescanned like every other. */
export const configKey = 'config' as ByteString

export const acceptorName = (id: AcceptorId): string =>
  `${id.node}/${stringToHex(id.incarnation)}/${id.joined}`

export const votersEqual = (a: Voter, b: Voter): boolean =>
  a.node === b.node && a.incarnation === b.incarnation

export function allAcceptors(config: RegisterConfig): AcceptorId[] {
  const byName = new Map<string, AcceptorId>()
  for (const id of [...config.acceptors, ...(config.joint ?? [])]) byName.set(acceptorName(id), id)
  return [...byName.values()]
}

const majoritySet = (ids: readonly AcceptorId[]): ReplicaSet => ({
  members: ids.map(acceptorName),
  needed: majorityOf(ids.length),
})

/** What a proposer of this config needs for prepare and for accept. */
export function quorumsOf(config: RegisterConfig): ReplicaSet[] {
  const sets = [majoritySet(config.acceptors)]
  if (config.joint !== undefined) sets.push(majoritySet(config.joint))
  return sets
}

export const everyAcceptorOf = (config: RegisterConfig): ReplicaSet[] => {
  const members = allAcceptors(config).map(acceptorName)
  return [{ members, needed: members.length }]
}

export const majorityOfAcceptors = (ids: readonly AcceptorId[]): ReplicaSet[] => [majoritySet(ids)]

const sorted = (ids: readonly AcceptorId[]): AcceptorId[] =>
  ids.slice().sort((a, b) => compareStrings(a.node, b.node) || compareStrings(a.incarnation, b.incarnation))

export function firstConfig(voters: readonly Voter[]): RegisterConfig {
  return checked({
    epoch: 1,
    acceptors: sorted(voters.map(voter => ({ ...voter, joined: 1 }))),
    joint: undefined,
  })
}

/** The config that starts a change: whoever stays keeps its identity, whoever is new joins now. */
export function jointConfig(current: RegisterConfig, target: readonly Voter[]): RegisterConfig {
  assert(current.joint === undefined, 'one change of acceptors at a time')
  const epoch = current.epoch + 1
  const acceptors = target.map(voter => {
    const staying = current.acceptors.find(id => votersEqual(id, voter))
    return staying ?? { node: voter.node, incarnation: voter.incarnation, joined: epoch }
  })
  return checked({ epoch, acceptors: sorted(acceptors), joint: current.acceptors })
}

export function finalConfig(joint: RegisterConfig): RegisterConfig {
  assert(joint.joint !== undefined, 'only a joint config has a final one')
  return checked({ epoch: joint.epoch + 1, acceptors: joint.acceptors, joint: undefined })
}

export function sameVoters(config: RegisterConfig, target: readonly Voter[]): boolean {
  return (
    config.acceptors.length === target.length &&
    target.every(voter => config.acceptors.some(id => votersEqual(id, voter)))
  )
}

function checked(config: RegisterConfig): RegisterConfig {
  for (const set of [config.acceptors, config.joint ?? config.acceptors]) {
    assert(set.length > 0, 'a config needs acceptors')
    assert(
      new Set(set.map(id => id.node)).size === set.length,
      'a node is named twice in one acceptor set',
      set,
    )
    assert(
      set.every(id => id.joined >= 1 && id.joined <= config.epoch),
      'acceptors join in an epoch up to this one',
    )
  }
  return config
}

function writeAcceptors(writer: RecordWriter, ids: readonly AcceptorId[]): void {
  writer.u64(ids.length)
  for (const id of ids) writer.text(id.node).byteString(id.incarnation).u64(id.joined)
}

function readAcceptors(reader: RecordReader): AcceptorId[] {
  const count = reader.u64()
  const ids: AcceptorId[] = []
  for (let i = 0; i < count; i++) {
    const node = reader.text() as NodeId
    ids.push({ node, incarnation: reader.byteString() as string as Incarnation, joined: reader.u64() })
  }
  return ids
}

export function encodeConfig(config: RegisterConfig): Uint8Array {
  const writer = new RecordWriter(1).u64(config.epoch)
  writeAcceptors(writer, config.acceptors)
  writeAcceptors(writer, config.joint ?? [])
  return writer.finish()
}

export function decodeConfig(bytes: Uint8Array): RegisterConfig {
  const reader = new RecordReader(bytes, 1, 'register config')
  const epoch = reader.u64()
  const acceptors = readAcceptors(reader)
  const old = readAcceptors(reader)
  reader.end()
  return checked({ epoch, acceptors, joint: old.length === 0 ? undefined : old })
}
