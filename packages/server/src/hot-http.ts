/** What is hot, over HTTP: one node asks all. */

import { type HotDocument, hotPartitions, type Node, QuorateError } from '@quorate/core'
import type { Hono } from 'hono'

const LIMIT_DEFAULT = 20
const LIMIT_MAX = 200

export function serveHotPartitions(app: Hono, node: Node): void {
  app.get('/api/v1/hot', async context => {
    const name = context.req.query('table')
    const limit = Number(context.req.query('limit') ?? LIMIT_DEFAULT)
    if (!Number.isInteger(limit) || limit < 1 || limit > LIMIT_MAX)
      throw new QuorateError('BAD_REQUEST', `limit is a whole number from 1 to ${LIMIT_MAX}`)
    const table = name === undefined ? {} : { table: node.catalog.named(name).descriptor.id }
    const found: HotDocument = await hotPartitions(node.context, { ...table, limit })
    return context.json(found)
  })
}
