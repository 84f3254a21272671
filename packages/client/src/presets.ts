/**
 * Tables that behave like another system's, as far as this one can today.
 *
 * Each preset is nothing but settings, and each setting has its reason; what the other system has and this
 * one has not yet is named, so that nobody takes the likeness for the whole. Defaults are those of the systems'
 * own documentation: DeCandia et al., "Dynamo" (2007); Cassandra 4; Riak KV 2; HBase 2; Elasticsearch 8;
 * Kafka 3; PostgreSQL 15; MySQL 8; MongoDB 6.
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

export const PRESET_NAMES = [
  'dynamo',
  'cassandra',
  'riak',
  'hbase',
  'elasticsearch',
  'kafka',
  'postgres',
  'postgres-sync',
  'mysql',
  'mongodb',
] as const
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
    like: 'a Kafka topic, as a table of the latest value for each key (log compaction), with its log as a feed',
    settings: {
      partitioning: { kind: 'fixed', partitions: 8 },
      replication: { kind: 'single-leader', n: 3, ack: 'in-sync', minInSync: 2, log: 'logical' },
      conflict: { kind: 'ordered' },
    },
    reasons: {
      'partitioning.kind': 'fixed: hash of the key over a number of partitions',
      'partitioning.partitions': '8: the default there is 1, which one reader could keep up with alone',
      'replication.kind': 'single-leader: a leader for each partition, whose log the others follow',
      'replication.n': '3: the usual replication factor',
      'replication.ack': 'in-sync: acks=all waits for the in-sync replicas',
      'replication.minInSync': '2: min.insync.replicas, as its guides recommend beside acks=all',
      'replication.log': 'logical: what was written, in order; quorate changes reads it from any place',
      'conflict.kind': 'ordered: the leader orders the writes of a partition',
    },
    notYet: ['consumer groups that share partitions', 'records that outlive the row they were of'],
  },
  postgres: {
    like: 'PostgreSQL with asynchronous streaming replication (the default)',
    settings: {
      partitioning: { kind: 'fixed', partitions: 1 },
      replication: { kind: 'single-leader', n: 3, ack: 'none', log: 'physical' },
      conflict: { kind: 'ordered' },
    },
    reasons: {
      'partitioning.kind': 'fixed: it is not partitioned over servers',
      'partitioning.partitions': '1: one primary for everything',
      'replication.kind': 'single-leader: a primary, and standbys',
      'replication.n': '3: a primary and two standbys',
      'replication.ack':
        'none: synchronous_standby_names is empty by default; a commit waits for the disk of the primary',
      'replication.log': 'physical: streaming replication ships the write-ahead log of the primary',
      'conflict.kind': 'ordered: the primary orders all writes',
    },
    notYet: ['SQL, and transactions over several rows', 'promotion by a script: quorate asks for a plan'],
  },
  'postgres-sync': {
    like: 'PostgreSQL with one synchronous standby',
    settings: {
      partitioning: { kind: 'fixed', partitions: 1 },
      replication: { kind: 'single-leader', n: 3, ack: 'one', log: 'physical' },
      conflict: { kind: 'ordered' },
    },
    reasons: {
      'partitioning.kind': 'fixed: it is not partitioned over servers',
      'partitioning.partitions': '1: one primary for everything',
      'replication.kind': 'single-leader: a primary, and standbys',
      'replication.n': '3: a primary and two standbys',
      'replication.ack': "one: synchronous_standby_names = 'ANY 1 (s1, s2)' with synchronous_commit = on",
      'replication.log': 'physical: streaming replication ships the write-ahead log of the primary',
      'conflict.kind': 'ordered: the primary orders all writes',
    },
    notYet: ['SQL, and transactions over several rows'],
  },
  mysql: {
    like: 'MySQL with row-based, semi-synchronous replication',
    settings: {
      partitioning: { kind: 'fixed', partitions: 1 },
      replication: { kind: 'single-leader', n: 3, ack: 'one', log: 'logical' },
      conflict: { kind: 'ordered' },
    },
    reasons: {
      'partitioning.kind': 'fixed: it is not partitioned over servers',
      'partitioning.partitions': '1: one source for everything',
      'replication.kind': 'single-leader: a source, and replicas',
      'replication.n': '3: a source and two replicas',
      'replication.ack': 'one: rpl_semi_sync_source_wait_for_replica_count is 1 by default',
      'replication.log':
        'logical: binlog_format = ROW with full images, the default; --log statement for STATEMENT',
      'conflict.kind': 'ordered: the source orders all writes',
    },
    notYet: [
      'SQL, and transactions over several rows',
      'falling back to asynchronous after a timeout: here a write waits, and says so',
    ],
  },
  mongodb: {
    like: 'a MongoDB replica set with its default write concern',
    settings: {
      partitioning: { kind: 'fixed', partitions: 1 },
      replication: { kind: 'single-leader', n: 3, ack: 'majority', log: 'logical' },
      conflict: { kind: 'ordered' },
    },
    reasons: {
      'partitioning.kind':
        'fixed: a collection that is not sharded; --partitions for shards of the hashed key',
      'partitioning.partitions': '1: one replica set',
      'replication.kind': 'single-leader: a primary, and secondaries',
      'replication.n': '3: the members its guides begin with',
      'replication.ack': 'majority: the default write concern since 5.0',
      'replication.log': 'logical: the oplog is of documents; quorate changes is its change stream',
      'conflict.kind': 'ordered: the primary orders all writes',
    },
    notYet: ['transactions over several documents', 'secondary indexes'],
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
