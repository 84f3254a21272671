/**
 * The admin interface: JSON under /api/v1, health, metrics. Loopback only; the Host header is checked (a
 * web page must not reach it by DNS rebinding), and whatever changes state needs the node's admin token.
 */

import { serve } from '@hono/node-server'
import { documentToJson } from '@quorate/client/pure'
import {
  type ByteString,
  describeBoundary,
  encodeKey,
  explainRow,
  isQuorateError,
  type KeyValue,
  type Node,
  nodeStatus,
  type Partition,
  partitionTokens,
  QuorateError,
  type TableView,
  tableDocument,
  verifyPartition,
} from '@quorate/core'
import { Hono, type MiddlewareHandler } from 'hono'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import { movementOf, serveCluster } from './cluster-http.ts'
import { serveHotPartitions } from './hot-http.ts'
import { serveLeaders } from './leader-http.ts'
import { serveLedger } from './ledger-http.ts'
import { metricsText } from './metrics.ts'
import { openApi } from './open-api.ts'

export interface AdminOptions {
  readonly node: Node
  readonly token: string
  readonly tokenFile: string
}

export function adminApp(options: AdminOptions): Hono {
  const { node } = options
  const app = new Hono()

  app.use('*', guard(options))
  app.onError((error, context) => context.json(errorBody(error), statusOf(error)))
  app.notFound(context =>
    context.json(
      errorBody(new QuorateError('NOT_FOUND', `there is no ${context.req.method} ${context.req.path}`)),
      404,
    ),
  )

  serveHealth(app, options)
  serveInsight(app, node)
  serveLedger(app, node)
  serveLeaders(app, node)
  serveMaintenance(app, node)
  serveCluster(app, node)
  serveHotPartitions(app, node)
  return app
}

/** Refuses names that are not loopback, and changes without the token. */
function guard({ token, tokenFile }: AdminOptions): MiddlewareHandler {
  return async (context, next) => {
    const host = (context.req.header('host') ?? '').replace(/:\d+$/, '').replace(/^\[|\]$/g, '')
    if (!/^(localhost|127\.\d+\.\d+\.\d+|::1)$/.test(host)) {
      return context.json(
        errorBody(new QuorateError('BAD_REQUEST', `Host "${host}" is not a loopback name`)),
        403,
      )
    }
    if (context.req.method !== 'GET' && context.req.method !== 'HEAD') {
      if (context.req.header('authorization') !== `Bearer ${token}`) {
        const error = new QuorateError(
          'BAD_REQUEST',
          `changing state needs "Authorization: Bearer …" with the token in ${tokenFile}`,
        )
        return context.json(errorBody(error), 401)
      }
    }
    return next()
  }
}

function serveHealth(app: Hono, { node, tokenFile }: AdminOptions): void {
  app.get('/healthz', context => context.json({ ok: node.store.status().state !== 'failed' }))
  app.get('/readyz', context => {
    const { state } = nodeStatus(node)
    return context.json({ ready: state === 'ready', state }, state === 'ready' ? 200 : 503)
  })
  app.get('/metrics', context =>
    context.text(metricsText(nodeStatus(node), process.memoryUsage(), movementOf(node))),
  )
  app.get('/api/v1/openapi.json', context => context.json(openApi))
  app.get('/api/v1/status', context => {
    const memory = process.memoryUsage()
    return context.json({
      ...nodeStatus(node),
      process: process.pid,
      tokenFile,
      memory: { rss: memory.rss, heapUsed: memory.heapUsed },
    })
  })
  app.get('/api/v1/shadow/:table', context => {
    const { descriptor } = node.catalog.named(context.req.param('table'))
    return context.json({ rule: descriptor.shadow ?? null, hours: node.shadow.of(descriptor.id) })
  })
  app.get('/api/v1/tables', context =>
    context.json({ tables: node.catalog.views().map(view => tableDocument(view.descriptor)) }),
  )
}

/** What can be asked about data and its places. */
function serveInsight(app: Hono, node: Node): void {
  app.get('/api/v1/ring/:table', context => {
    const view = node.catalog.named(context.req.param('table'))
    const { descriptor, map } = view
    return context.json({
      table: descriptor.name,
      partitioning: descriptor.partitioning.kind,
      mapVersion: map.version,
      partitions: map.partitions.map(partition => ({
        id: partition.id,
        ...boundsOf(view, partition),
        version: partition.version,
        replicas: partition.replicas,
        fallbacks: map.preference(partition).slice(partition.replicas.length),
        move: partition.move === undefined ? null : { stage: partition.move.stage, to: partition.move.to },
        rows: node.trees.rowsOf(descriptor.id, partition.id),
        provenEqual: partition.replicas
          .filter(home => home !== node.config.id && partition.replicas.includes(node.config.id))
          .map(home => ({
            peer: home,
            atMs: node.sweeper.provenEqual.get(`${descriptor.id}/${partition.id}/${home}`) ?? null,
          })),
      })),
    })
  })

  app.get('/api/v1/explain/:table', async context => {
    const { descriptor } = node.catalog.named(context.req.param('table'))
    const key = keyFrom(context.req.query('key'), 'key')
    const sort = context.req.query('sort')
    const sortKey = sort === undefined ? ('' as ByteString) : encodeKey(keyFrom(sort, 'sort'))
    if ((descriptor.key.sort === undefined) !== (sort === undefined)) {
      throw new QuorateError(
        'BAD_REQUEST',
        `table "${descriptor.name}" ${descriptor.key.sort === undefined ? 'has no sort key' : `needs sort=… ("${descriptor.key.sort}")`}`,
      )
    }
    const { merged, ...found } = await explainRow(node.context, descriptor.id, encodeKey(key), sortKey)
    return context.json({ ...found, merged: { ...merged, values: merged.values.map(documentToJson) } })
  })
}

/** Where a partition starts, in words, and on hash tables its tokens. */
function boundsOf(view: TableView, partition: Partition) {
  if (view.order === 'hashed') {
    const { start, end } = partitionTokens(partition)
    return { start, end, first: String(start), share: (end - start) / 2 ** 32 }
  }
  const first = describeBoundary(partition.from)
  return { start: null, end: null, first, share: 1 / view.map.partitions.length }
}

function serveMaintenance(app: Hono, node: Node): void {
  app.get('/api/v1/verify/:table/:partition', async context => {
    const view = node.catalog.named(context.req.param('table'))
    const partition = view.map.find(Number(context.req.param('partition')))
    if (partition === undefined)
      throw new QuorateError(
        'NOT_FOUND',
        `table "${view.descriptor.name}" has no partition ${context.req.param('partition')}`,
      )
    return context.json(await verifyPartition(node.context, view, partition))
  })

  app.post('/api/v1/repair/:table', async context => {
    const view = node.catalog.named(context.req.param('table'))
    const peers = node.catalog.members.members.map(member => member.id).filter(id => id !== node.config.id)
    const exchanges = []
    for (const peer of peers) {
      const result = await node.sweeper.exchange(view, peer)
      exchanges.push(result ?? { peer, partitions: 0, differing: 0, repaired: 0, complete: false })
    }
    return context.json({ node: node.config.id, exchanges })
  })

  app.post('/api/v1/scrub', async context => context.json(await node.scrubber.pass()))
}

function keyFrom(text: string | undefined, field: string): KeyValue {
  if (text === undefined)
    throw new QuorateError('BAD_REQUEST', `${field}=… is missing: the key value as JSON`)
  try {
    const value: unknown = JSON.parse(text)
    if (value === null || ['string', 'number', 'boolean'].includes(typeof value)) return value as KeyValue
  } catch {
    // Not JSON: taken as the text it is.
    return text
  }
  throw new QuorateError('BAD_REQUEST', `${field} must be a text, number, boolean or null`)
}

function errorBody(error: unknown): { error: object } {
  if (!isQuorateError(error))
    return { error: { code: 'INTERNAL', message: error instanceof Error ? error.message : String(error) } }
  const { code, message, outcome, data, attempts } = error
  return { error: { code, message, outcome, data, attempts } }
}

function statusOf(error: unknown): ContentfulStatusCode {
  if (!isQuorateError(error)) return 500
  switch (error.code) {
    case 'NOT_FOUND':
    case 'UNKNOWN_TABLE':
      return 404
    case 'TABLE_EXISTS':
    case 'CONFLICT':
      return 409
    case 'OVERLOADED':
      return 429
    case 'NOT_READY':
    case 'UNAVAILABLE':
    case 'READ_SHORT':
    case 'UNREACHABLE':
      return 503
    case 'DEADLINE':
      return 504
    case 'INTERNAL':
    case 'STORE_FAILED':
    case 'STORE_DAMAGED':
      return 500
    default:
      return 400
  }
}

export interface AdminListener {
  readonly port: number
  close(): Promise<void>
}

export function listenAdmin(app: Hono, host: string, port: number): Promise<AdminListener> {
  return new Promise((resolve, reject) => {
    const server = serve({ fetch: app.fetch, hostname: host, port }, info => {
      server.removeListener('error', reject)
      resolve({
        port: info.port,
        close: () =>
          new Promise(done => {
            server.close(() => done())
            if ('closeAllConnections' in server) server.closeAllConnections()
          }),
      })
    })
    server.once('error', reject)
  })
}
