// What planning and maps cost, without a network: a plan for many nodes, an assignment by flow, looking a
// row up, and one partition's change of a map. One processor, medians of a few runs.
import {
  allocateTokens,
  assignReplicas,
  Catalog,
  changeChunk,
  decodeChunk,
  describeTable,
  encodeChunk,
  firstChunks,
  ringArcs,
  rowKey,
  TOKENS,
  tokenStart,
} from '@quorate/core'
import { makePlan } from '../packages/core/dist/movement/plan.js'
import { round } from './measure.mjs'

const REPLICAS = 3
const NODES = 1_000
const PARTITIONS = 10_000
const LOOKUPS = 2_000_000

const named = (count, from = 1) =>
  Array.from({ length: count }, (_, i) => ({
    id: `n${String(from + i).padStart(4, '0')}`,
    incarnation: `i${from + i}`,
    address: `h:${from + i}`,
    http: '',
    zone: `z${(from + i) % 3}`,
    region: 'r',
    weight: 1,
    tokens: [],
    state: 'active',
  }))

function median(runs, run) {
  const times = Array.from({ length: runs }, () => {
    const began = performance.now()
    run()
    return performance.now() - began
  })
  return times.sort((a, b) => a - b)[Math.floor(runs / 2)]
}

function catalogWith(members, partitioning, partitions) {
  const catalog = new Catalog()
  const chunks = firstChunks(partitions)
  const key = { partition: 'id' }
  const replication = { kind: 'leaderless', n: REPLICAS }
  const descriptor = describeTable(1, {
    name: 'bench',
    key,
    partitioning,
    replication,
    chunks: chunks.length,
  })
  catalog.learn({
    members: { version: 1, members, removed: [] },
    tables: { version: 1, nextId: 2, tables: [descriptor] },
    chunks: chunks.map((chunk, index) => ({ table: descriptor.id, index, chunk })),
  })
  return catalog
}

/** A node joins so many others, each with tokens on the ring; then one leaves. */
function planMany() {
  const bare = named(NODES)
  const began = performance.now()
  const tokens = allocateTokens(bare, [])
  const allocateAllMs = performance.now() - began
  const members = bare.map(member => ({ ...member, tokens: tokens.get(member.id) }))
  const newcomer = { ...named(1, NODES + 1)[0], state: 'staged' }
  const partitions = ringArcs(members, REPLICAS).map(({ start, replicas }) => ({
    start: tokenStart(start),
    replicas,
  }))
  const catalog = catalogWith([...members, newcomer], { kind: 'ring' }, partitions)
  const plan = staged =>
    makePlan({
      changesVersion: 1,
      staged,
      members: catalog.members,
      views: catalog.views(),
      measured: new Map(),
      freeBytes: new Map(),
      isSuspected: () => false,
      tokensPerNode: 16,
      bytesPerSecond: 16 * 2 ** 20,
    })
  const join = [{ kind: 'join', node: newcomer.id }]
  const leave = [{ kind: 'leave', node: members[0].id }]
  return {
    nodes: NODES,
    tokens: NODES * 16,
    allocateAllTokensMs: round(allocateAllMs, 0),
    joinMs: round(
      median(3, () => plan(join)),
      0,
    ),
    leaveMs: round(
      median(3, () => plan(leave)),
      0,
    ),
    joinMoves: plan(join).moves,
  }
}

function assignMany() {
  const before = named(100)
  let current
  const firstMs = median(1, () => {
    current = assignReplicas(
      Array.from({ length: PARTITIONS }, () => []),
      before,
      REPLICAS,
    )
  })
  const after = named(101)
  let moved = 0
  const growMs = median(3, () => {
    const next = assignReplicas(current, after, REPLICAS)
    moved = next.reduce((sum, nodes, at) => sum + nodes.filter(id => !current[at].includes(id)).length, 0)
  })
  return {
    partitions: PARTITIONS,
    nodes: 100,
    firstMs: round(firstMs, 0),
    growMs: round(growMs, 0),
    copiesMoved: moved,
  }
}

function fixedCatalog(count) {
  const members = named(5)
  const replicas = i => [0, 1, 2].map(at => members[(i + at) % members.length].id)
  const starts = Array.from({ length: count }, (_, i) => ({
    start: i === 0 ? '' : tokenStart(Math.floor((i * TOKENS) / count)),
    replicas: replicas(i),
  }))
  return catalogWith(members, { kind: 'fixed', partitions: count }, starts)
}

function lookups(count) {
  const { map, descriptor } = fixedCatalog(count).named('bench')
  const view = { map }
  const keys = Array.from({ length: 4_096 }, (_, i) =>
    rowKey(descriptor.id, 'hashed', `key-${(i * 7_919) % 1_000_003}`, ''),
  )
  let sum = 0
  const ms = median(5, () => {
    for (let i = 0; i < LOOKUPS; i++) sum += view.map.locate(keys[i & 4_095]).id
  })
  return { partitions: count, perSecond: Math.round((LOOKUPS * 1_000) / ms), sum: sum > 0 }
}

/** One partition's homes change: what is written to the register and sent, and what each node does with it. */
function mapChange(count) {
  const catalog = fixedCatalog(count)
  const { map, descriptor } = catalog.named('bench')
  const index = Math.floor(map.chunks.length / 2)
  let chunk = map.chunks[index]
  let bytes = 0
  const ms = median(101, () => {
    const { id } = chunk.partitions[3]
    const changed = changeChunk(chunk, (entry, version) =>
      entry.id === id ? { ...entry, version, replicas: [...entry.replicas].reverse() } : entry,
    )
    const encoded = encodeChunk(changed)
    bytes = encoded.length
    chunk = decodeChunk(encoded)
    catalog.learn({ chunks: [{ table: descriptor.id, index, chunk }] })
    catalog.named('bench').map.locate(map.partitions[0].from)
  })
  const wholeBytes = map.chunks.reduce((sum, each) => sum + encodeChunk(each).length, 0)
  return { partitions: count, bytes, wholeMapBytes: wholeBytes, ms: round(ms, 2) }
}

export function benchPlanning() {
  const found = lookups(65_536)
  return {
    plan: planMany(),
    assign: assignMany(),
    lookup: { partitions: found.partitions, perSecond: found.perSecond },
    mapChanges: [mapChange(1_024), mapChange(65_536)],
  }
}
