/** The ledger of one node, and entries of it put back. */

import { documentToJson } from '@quorate/client/pure'
import {
  encodeKey,
  type KeyValue,
  LEDGER_REASONS,
  type LedgerEntry,
  type Node,
  QuorateError,
  restoreEntry,
  rowKeyParts,
  rowWords,
  stampAt,
  stampMs,
  valueOfEntry,
} from '@quorate/core'
import type { Hono } from 'hono'

const LEDGER_MAX = 10_000
/** Ids in one answer, about 100 bytes each. */
const LEDGER_IDS_MAX = 200_000

export function serveLedger(app: Hono, node: Node): void {
  app.get('/api/v1/ledger', context => {
    const wanted = ledgerQuery(node, name => context.req.query(name))
    const limit = Math.min(LEDGER_MAX, Number(context.req.query('limit') ?? 100))
    if (!Number.isFinite(limit) || limit < 1)
      throw new QuorateError('BAD_REQUEST', 'limit must be a whole number from 1')
    const entries: unknown[] = []
    for (const entry of wanted) {
      if (entries.length >= limit) break
      entries.push(entryDocument(node, entry))
    }
    return context.json({
      total: node.context.ledger.count,
      dropped: node.context.ledger.dropped,
      entries,
    })
  })

  // Copies of an entry have one id on all nodes: whoever counts them needs the ids.
  app.get('/api/v1/ledger/ids', context => {
    const entries: (readonly [id: string, table: string, at: string, reason: string])[] = []
    let more = false
    for (const entry of ledgerQuery(node, name => context.req.query(name))) {
      more = entries.length >= LEDGER_IDS_MAX
      if (more) break
      const table = node.catalog.view(entry.table).descriptor.name
      entries.push([entry.id, table, new Date(stampMs(entry.dot.stamp)).toISOString(), entry.reason])
    }
    return context.json({ more, entries })
  })

  app.post('/api/v1/ledger/restore/:id', async context => {
    const { entry } = await restoreEntry(node.context, context.req.param('id'), {
      force: context.req.query('force') === 'true',
      logSince: node.leaders.logSince.bind(node.leaders),
    })
    const view = node.catalog.view(entry.table)
    const table = view.descriptor.name
    return context.json({ id: entry.id, table, ...rowWords(view, entry.rowKey), node: node.config.id })
  })
}

/** The entries that a request means, oldest first. */
function* ledgerQuery(node: Node, query: (name: string) => string | undefined): Generator<LedgerEntry> {
  const name = query('table')
  const table = name === undefined ? undefined : node.catalog.named(name).descriptor.id
  const since = stampAt(Number(query('since') ?? 0))
  const [reason, named] = [query('reason'), query('key')]
  const key = named === undefined ? undefined : encodeKey(JSON.parse(named) as KeyValue)
  if (reason !== undefined && !LEDGER_REASONS.includes(reason as LedgerEntry['reason']))
    throw new QuorateError('BAD_REQUEST', `"${reason}" is no reason: ${LEDGER_REASONS.join(', ')}`)
  for (const entry of node.context.ledger.list(table, since, Number.MAX_SAFE_INTEGER)) {
    if (reason !== undefined && entry.reason !== reason) continue
    const view = node.catalog.find(entry.table)
    if (view === undefined || (key !== undefined && rowKeyParts(entry.rowKey).partitionKey !== key)) continue
    yield entry
  }
}

function entryDocument(node: Node, entry: LedgerEntry) {
  const view = node.catalog.view(entry.table)
  const json = (found: { readonly value: Uint8Array | undefined }) => {
    const value = valueOfEntry(view, found)
    return value === undefined ? null : documentToJson(value)
  }
  const { winner } = entry
  return {
    table: view.descriptor.name,
    ...rowWords(view, entry.rowKey),
    dot: `${entry.dot.actor.slice(0, 8)}:${entry.dot.stamp}`,
    at: new Date(stampMs(entry.dot.stamp)).toISOString(),
    operation: entry.operation,
    reason: entry.reason,
    value: json(entry),
    winner:
      winner === undefined
        ? null
        : {
            at: new Date(stampMs(winner.stamp)).toISOString(),
            operation: winner.operation,
            value: json(winner),
          },
    node: entry.node,
    id: entry.id,
    restored: entry.restored,
  }
}
