/**
 * How the first config comes about. Pure: (state, event) → (state', outputs).
 *
 * Problem: a wiped voter that starts afresh must not help to form a second cluster beside the first.
 * Mechanism: the configured voters introduce themselves with their store incarnations; when the voter
 * with the lowest id has seen all of them, none with a genesis, it makes the genesis (all voters and their
 * incarnations), durable before it is sent; a voter takes it if it has none and is named rightly.
 * A node that hears of a genesis naming another incarnation for its own id is barred: it rejoins as a
 * new acceptor by a change of acceptors.
 * Invariants: a store takes at most one genesis, ever; it is durable before anyone hears that it was
 * taken; a node once barred stays barred. Two geneses over the same voters cannot both have a majority.
 * `hello` counts only if it echoes the receiver's incarnation: one sent to the receiver's former disk
 * says nothing about now. See SPEC.md, "Genesis".
 */

import { assert } from '../base/assert.ts'
import { bytesToString, stringToHex, u32ToString } from '../base/bytes.ts'
import { compareStrings, type Incarnation, type NodeId } from '../base/ids.ts'
import { murmur3OfBytes } from '../base/murmur3.ts'
import { RecordReader, RecordWriter } from './record-codec.ts'
import { firstConfig, type RegisterConfig, type Voter, votersEqual } from './register-config.ts'

export interface Genesis {
  /** Sixteen hex digits: hash of the voters. Names the cluster. */
  readonly clusterId: string
  /** Sorted by node. */
  readonly voters: readonly Voter[]
}

export type GenesisMessage =
  | {
      readonly kind: 'hello'
      readonly incarnation: Incarnation
      /** The receiver's incarnation as the sender last heard it. */
      readonly echo: Incarnation | undefined
      readonly genesis: Genesis | undefined
    }
  | { readonly kind: 'genesis-proposal'; readonly genesis: Genesis }
  | { readonly kind: 'genesis-taken'; readonly incarnation: Incarnation; readonly clusterId: string }

export type GenesisEvent =
  | { readonly kind: 'tick' }
  | { readonly kind: 'message'; readonly from: NodeId; readonly message: GenesisMessage }
  /** The genesis of the last `persist` is durable. */
  | { readonly kind: 'persisted' }

export type GenesisOutput =
  | { readonly kind: 'send'; readonly to: NodeId; readonly message: GenesisMessage }
  | { readonly kind: 'persist'; readonly genesis: Genesis }
  /** Durable: the acceptor adopts `config`, the proposer may start. */
  | { readonly kind: 'member'; readonly genesis: Genesis; readonly config: RegisterConfig }
  /** A cluster exists and this store is not one of its voters. */
  | { readonly kind: 'outsider'; readonly genesis: Genesis; readonly barred: boolean }
  /** This store holds one genesis and a peer another: an operator must wipe the side without majority. */
  | { readonly kind: 'conflict'; readonly mine: Genesis; readonly theirs: Genesis; readonly peer: NodeId }

export interface GenesisState {
  readonly self: Voter
  /** Configured initial voters, sorted. */
  readonly voters: readonly NodeId[]
  /** Latest incarnation heard of each peer, and whether it has echoed ours. */
  readonly seen: ReadonlyMap<NodeId, { readonly incarnation: Incarnation; readonly echoed: boolean }>
  readonly genesis: Genesis | undefined
  readonly durable: boolean
  /** Voters that said they took this genesis. */
  readonly taken: ReadonlySet<NodeId>
  /** Set once a cluster is known in which this store is no voter. */
  readonly outside: { readonly genesis: Genesis; readonly barred: boolean } | undefined
}

export interface GenesisStep {
  readonly state: GenesisState
  readonly outputs: readonly GenesisOutput[]
}

/** `stored`: the genesis this store has taken, if any. */
export function startGenesis(
  self: Voter,
  voters: readonly NodeId[],
  stored: Genesis | undefined,
): GenesisStep {
  // None: a node that joins a cluster, and hears of it from those it joins.
  assert(new Set(voters).size === voters.length, 'initial voters must be distinct')
  const state: GenesisState = {
    self,
    voters: voters.slice().sort(compareStrings),
    seen: new Map(),
    genesis: stored,
    durable: stored !== undefined,
    taken: new Set(),
    outside: undefined,
  }
  if (stored === undefined) return { state, outputs: [] }
  return { state, outputs: [{ kind: 'member', genesis: stored, config: firstConfig(stored.voters) }] }
}

export function stepGenesis(state: GenesisState, event: GenesisEvent): GenesisStep {
  if (event.kind === 'tick') return tick(state)
  if (event.kind === 'persisted') return persisted(state)
  const { from, message } = event
  if (from === state.self.node) return { state, outputs: [] }
  switch (message.kind) {
    case 'hello':
      return hello(state, from, message)
    case 'genesis-proposal':
      return proposal(state, from, message.genesis)
    case 'genesis-taken':
      return taken(state, from, message)
  }
}

/** Settled: nothing left to say or to wait for. */
export const genesisSettled = (state: GenesisState): boolean =>
  state.outside !== undefined ||
  (state.durable && state.voters.every(id => id === state.self.node || state.taken.has(id)))

function tick(state: GenesisState): GenesisStep {
  const outputs: GenesisOutput[] = []
  const { self, genesis } = state
  for (const to of state.voters) {
    if (to === self.node) continue
    outputs.push({ kind: 'send', to, message: helloTo(state, to) })
    const proposes = genesis !== undefined && state.durable && genesis.voters[0]?.node === self.node
    if (proposes && !state.taken.has(to)) {
      outputs.push({ kind: 'send', to, message: { kind: 'genesis-proposal', genesis } })
    }
  }
  return proposeWhenReady(state, outputs)
}

const helloTo = (state: GenesisState, to: NodeId): GenesisMessage => ({
  kind: 'hello',
  incarnation: state.self.incarnation,
  echo: state.seen.get(to)?.incarnation,
  // What is not durable yet is not said: a power cut may still undo it.
  genesis: state.durable ? state.genesis : state.outside?.genesis,
})

function proposeWhenReady(state: GenesisState, outputs: GenesisOutput[]): GenesisStep {
  const { self, voters, seen } = state
  if (state.genesis !== undefined || state.outside !== undefined || voters[0] !== self.node)
    return { state, outputs }
  if (!voters.every(id => id === self.node || seen.get(id)?.echoed === true)) return { state, outputs }
  const named = voters.map(id =>
    id === self.node ? self : { node: id, incarnation: seen.get(id)!.incarnation },
  )
  const genesis = makeGenesis(named)
  return { state: { ...state, genesis, durable: false }, outputs: [...outputs, { kind: 'persist', genesis }] }
}

function persisted(state: GenesisState): GenesisStep {
  const { genesis } = state
  assert(genesis !== undefined, 'a genesis was persisted that nobody asked for')
  if (state.durable) return { state, outputs: [] }
  const outputs: GenesisOutput[] = [{ kind: 'member', genesis, config: firstConfig(genesis.voters) }]
  const proposer = genesis.voters[0]!.node
  if (proposer === state.self.node) {
    for (const { node } of genesis.voters) {
      if (node !== proposer)
        outputs.push({ kind: 'send', to: node, message: { kind: 'genesis-proposal', genesis } })
    }
  } else {
    outputs.push({ kind: 'send', to: proposer, message: takenMessage(state.self, genesis) })
  }
  return { state: { ...state, durable: true }, outputs }
}

const takenMessage = (self: Voter, genesis: Genesis): GenesisMessage => ({
  kind: 'genesis-taken',
  incarnation: self.incarnation,
  clusterId: genesis.clusterId,
})

function hello(state: GenesisState, from: NodeId, message: GenesisMessage & { kind: 'hello' }): GenesisStep {
  const before = state.seen.get(from)
  const echoes = message.echo === state.self.incarnation
  const echoed = echoes || (before?.echoed === true && before.incarnation === message.incarnation)
  const seen = new Map(state.seen)
  // A hello to our former disk may be late: it must not replace what the peer's present disk said.
  if (echoes || before?.echoed !== true) seen.set(from, { incarnation: message.incarnation, echoed })
  const next = { ...state, seen }
  if (message.genesis !== undefined) return heardOf(next, from, message.genesis)
  // Whoever knows no cluster yet is told of ours: a node that is no voter hears of it in no other way.
  const knowsCluster = state.outside !== undefined || (state.genesis !== undefined && state.durable)
  const outputs: GenesisOutput[] = knowsCluster
    ? [{ kind: 'send', to: from, message: helloTo(next, from) }]
    : []
  return proposeWhenReady(next, outputs)
}

/** A peer belongs to a cluster (its genesis is durable there). */
function heardOf(state: GenesisState, peer: NodeId, theirs: Genesis): GenesisStep {
  const { self, genesis } = state
  if (genesis !== undefined) {
    if (genesis.clusterId !== theirs.clusterId) {
      return { state, outputs: [{ kind: 'conflict', mine: genesis, theirs, peer }] }
    }
    return { state: { ...state, taken: new Set([...state.taken, peer]) }, outputs: [] }
  }
  if (state.outside !== undefined || theirs.voters.some(voter => votersEqual(voter, self))) {
    // Named rightly: the proposer's proposal will come; any peer's word would do as well.
    return state.outside !== undefined ? { state, outputs: [] } : take(state, theirs)
  }
  const barred = theirs.voters.some(voter => voter.node === self.node)
  const outside = { genesis: theirs, barred }
  return { state: { ...state, outside }, outputs: [{ kind: 'outsider', ...outside }] }
}

function proposal(state: GenesisState, from: NodeId, genesis: Genesis): GenesisStep {
  if (state.genesis?.clusterId === genesis.clusterId) {
    const outputs: GenesisOutput[] = state.durable
      ? [{ kind: 'send', to: from, message: takenMessage(state.self, genesis) }]
      : []
    return { state, outputs }
  }
  return heardOf(state, from, genesis)
}

function take(state: GenesisState, genesis: Genesis): GenesisStep {
  assert(
    genesis.clusterId === makeGenesis(genesis.voters).clusterId,
    'a genesis does not match its cluster id',
  )
  const replaced = genesis.voters.some(voter => {
    const seen = state.seen.get(voter.node)
    return seen?.echoed === true && seen.incarnation !== voter.incarnation
  })
  // Late word of a genesis whose voter has lost its disk since: joining it could only split the votes.
  if (replaced) return { state, outputs: [] }
  return { state: { ...state, genesis, durable: false }, outputs: [{ kind: 'persist', genesis }] }
}

function taken(
  state: GenesisState,
  from: NodeId,
  message: GenesisMessage & { kind: 'genesis-taken' },
): GenesisStep {
  const { genesis } = state
  const named = genesis?.voters.find(voter => voter.node === from)
  if (genesis?.clusterId !== message.clusterId || named?.incarnation !== message.incarnation) {
    return { state, outputs: [] }
  }
  return { state: { ...state, taken: new Set([...state.taken, from]) }, outputs: [] }
}

export function makeGenesis(voters: readonly Voter[]): Genesis {
  const ordered = voters.slice().sort((a, b) => compareStrings(a.node, b.node))
  const bytes = encodeVoters(ordered)
  const hash = (seed: number) => stringToHex(u32ToString(murmur3OfBytes(bytes, seed)))
  return { clusterId: hash(0x67656e31) + hash(0x67656e32), voters: ordered }
}

function encodeVoters(voters: readonly Voter[]): Uint8Array {
  const writer = new RecordWriter(1).u64(voters.length)
  for (const voter of voters) writer.text(voter.node).byteString(voter.incarnation)
  return writer.finish()
}

export const encodeGenesis = (genesis: Genesis): Uint8Array => encodeVoters(genesis.voters)

export function decodeGenesis(bytes: Uint8Array): Genesis {
  const reader = new RecordReader(bytes, 1, 'genesis')
  const count = reader.u64()
  const voters: Voter[] = []
  for (let i = 0; i < count; i++) {
    const node = reader.text() as NodeId
    voters.push({ node, incarnation: bytesToString(reader.bytes()) as string as Incarnation })
  }
  reader.end()
  return makeGenesis(voters)
}
