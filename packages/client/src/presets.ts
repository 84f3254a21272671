/**
 * Tables that behave like another system's, as far as this one can today.
 *
 * Each preset is nothing but settings, and each setting has its reason; what the other system has and this
 * one has not yet is named, so that nobody takes the likeness for the whole. Defaults are those of the systems'
 * own documentation: DeCandia et al., "Dynamo" (2007); Cassandra 4; Riak KV 2; HBase 2; Elasticsearch 8;
 * Kafka 3.
 */

import { describeTable, type TableDescriptor, type TableSpecification } from '@quorate/core'

export interface Preset {
  /** In words. */
  readonly like: string
  readonly settings: Required<Pick<TableSpecification, 'partitioning' | 'replication' | 'conflict'>>
  /** Why each setting is what it is; by its path. */
  readonly reasons: Readonly<Record<string, string>>
  /** What it would need and does not have yet. */
  readonly notYet: readonly string[]
}

export const PRESET_NAMES = ['dynamo', 'cassandra', 'riak', 'hbase', 'elasticsearch', 'kafka'] as const
export type PresetName = (typeof PRESET_NAMES)[number]

const GiB = 1024 ** 3

export const presets: Readonly<Record<PresetName, Preset>> = {
  dynamo: {
    like: 'Dynamo, the shopping cart of the paper',
    settings: {
      partitioning: { kind: 'ring' },
      replication: { n: 3, r: 2, w: 2, sloppy: true, readRepair: 'async' },
      conflict: { kind: 'siblings' },
    },
    reasons: {
      'partitioning.kind': 'ring: consistent hashing with tokens (virtual nodes)',
      'replication.n': '3: "the common (N,R,W) configuration used by several instances is (3,2,2)"',
      'replication.r': '2: see n',
      'replication.w': '2: see n',
      'replication.sloppy': 'yes: "sloppy quorum" with hinted handoff, always writable',
      'replication.readRepair': 'async: the reply does not wait for the repair',
      'conflict.kind': 'siblings: the application reconciles versions that are concurrent',
    },
    notYet: [],
  },
  cassandra: {
    like: 'Cassandra at consistency level ONE',
    settings: {
      partitioning: { kind: 'ring' },
      replication: { n: 3, r: 1, w: 1, sloppy: false, readRepair: 'blocking' },
      conflict: { kind: 'lww' },
    },
    reasons: {
      'partitioning.kind': 'ring: Murmur3 tokens, 16 for each node',
      'replication.n': '3: what its guides recommend',
      'replication.r': '1: drivers read at (LOCAL_)ONE by default; --r quorum for QUORUM',
      'replication.w': '1: drivers write at (LOCAL_)ONE by default; --w quorum for QUORUM',
      'replication.sloppy': 'no: a hint does not count as an acknowledgement',
      'replication.readRepair': 'blocking: the default of a table since 4.0, for monotonic quorum reads',
      'conflict.kind': 'lww: the greater timestamp wins (by row here, by column there)',
    },
    notYet: ['levels for each data centre (LOCAL_QUORUM)', 'lightweight transactions'],
  },
  riak: {
    like: 'Riak KV with allow_mult',
    settings: {
      partitioning: { kind: 'fixed', partitions: 64 },
      replication: { n: 3, r: 2, w: 2, sloppy: true, readRepair: 'async' },
      conflict: { kind: 'siblings' },
    },
    reasons: {
      'partitioning.kind': 'fixed: a ring of equal partitions that nodes claim',
      'partitioning.partitions': '64: the default ring_creation_size',
      'replication.n': '3: the default n_val',
      'replication.r': '2: quorum',
      'replication.w': '2: quorum',
      'replication.sloppy': 'yes: fallback virtual nodes take writes and hand them over',
      'replication.readRepair': 'async: passive repair on reads',
      'conflict.kind': 'siblings: allow_mult is true for bucket types',
    },
    notYet: ['strongly consistent buckets', 'maps, sets and counters as data types'],
  },
  hbase: {
    like: 'HBase',
    settings: {
      partitioning: { kind: 'range', splitBytes: 10 * GiB, auto: true },
      replication: { n: 3, r: 2, w: 2, sloppy: false, readRepair: 'blocking' },
      conflict: { kind: 'lww' },
    },
    reasons: {
      'partitioning.kind': 'range: regions of rows in key order; --split-at for the first ones',
      'partitioning.splitBytes': '10 GiB: the default of hbase.hregion.max.filesize',
      'replication.n': '3: the default replication of the file system under it',
      'replication.r': '2: reads see acknowledged writes, the nearest to its one server for each region',
      'replication.w': '2: see r',
      'replication.sloppy': 'no: availability gives way to consistency',
      'replication.readRepair': 'blocking: a reader does not see a row go back in time',
      'conflict.kind': 'lww: the greater timestamp is the current version',
    },
    notYet: [
      'a single leader for each region (atomic row changes, strict order)',
      'regions that split by themselves (quorate cluster split does it by hand)',
    ],
  },
  elasticsearch: {
    like: 'an Elasticsearch index, as a store of documents',
    settings: {
      partitioning: { kind: 'fixed', partitions: 1 },
      replication: { n: 2, r: 1, w: 1, sloppy: false, readRepair: 'async' },
      conflict: { kind: 'lww' },
    },
    reasons: {
      'partitioning.kind': 'fixed: hash of the id modulo the number of shards, which does not change',
      'partitioning.partitions': '1: the default number_of_shards since 7.0; --partitions for more',
      'replication.n': '2: one primary and one replica, the default',
      'replication.r': '1: any copy answers a search',
      'replication.w': '1: the default wait_for_active_shards',
      'replication.sloppy': 'no: only copies of the shard take writes',
      'replication.readRepair': 'async: copies are put right in the background',
      'conflict.kind': 'lww: the later version of a document replaces it',
    },
    notYet: ['a primary for each shard, with sequence numbers', 'local secondary indexes and search'],
  },
  kafka: {
    like: 'a Kafka topic, as a table of the latest value for each key (log compaction)',
    settings: {
      partitioning: { kind: 'fixed', partitions: 8 },
      replication: { n: 3, r: 2, w: 2, sloppy: false, readRepair: 'async' },
      conflict: { kind: 'lww' },
    },
    reasons: {
      'partitioning.kind': 'fixed: hash of the key over a number of partitions',
      'partitioning.partitions': '8: the default there is 1, which one reader could keep up with alone',
      'replication.n': '3: the usual replication factor',
      'replication.r': '2: a read sees what was acknowledged',
      'replication.w': '2: acks=all with min.insync.replicas=2',
      'replication.sloppy': 'no: only in-sync replicas count',
      'replication.readRepair': 'async: followers catch up in the background',
      'conflict.kind': 'lww: compaction keeps the last value of a key',
    },
    notYet: ['a leader log for each partition, in one order', 'offsets and consumer groups'],
  },
}

const plain = (name: string, settings: Preset['settings']): TableDescriptor =>
  describeTable(0, { name, key: 'k', ...settings })

/** What counts: where a table was cut at first is no likeness. */
function likeness({ partitioning, replication, conflict }: TableDescriptor): string {
  const { kind, ...settings } = { ...partitioning, splitPoints: [] }
  return JSON.stringify([
    kind,
    Object.entries(settings).sort(),
    Object.entries(replication).sort(),
    conflict.kind,
  ])
}

/** The presets whose settings a table has, whoever gave them. */
export function presetsOf(table: TableDescriptor): PresetName[] {
  const own = likeness(table)
  return PRESET_NAMES.filter(name => likeness(plain(table.name, presets[name].settings)) === own)
}
