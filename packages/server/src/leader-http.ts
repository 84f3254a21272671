/** Who leads, and the changes of it that an operator makes: planned hand-over, and unclean elections as plans. */

import { ledOf, moveLeaderMessage, type Node, type NodeId, type PeerId, QuorateError } from '@quorate/core'
import type { Hono } from 'hono'
import { leadersSpread } from './plan-document.ts'

const HAND_OVER_MS = 10_000

export function serveLeaders(app: Hono, node: Node): void {
  app.get('/api/v1/leaders', context => context.json(leadersSpread(node)))

  /** What this node knows of each partition that it keeps a copy of. */
  app.get('/api/v1/leaders/:table', context => {
    const { descriptor } = node.catalog.named(context.req.param('table'))
    if (ledOf(descriptor) === undefined)
      throw new QuorateError('BAD_REQUEST', `table "${descriptor.name}" is leaderless`)
    const partitions = node.leaders.partitions.heldOf(descriptor.id).map(({ seat, partition }) => ({
      ...seat.report(),
      partition: partition.id,
      lead: leadOf(partition.lead),
    }))
    return context.json({ node: node.config.id, table: descriptor.name, partitions })
  })

  app.post('/api/v1/leaders/:table/:partition/:to', async context => {
    const view = node.catalog.named(context.req.param('table'))
    const partition = view.map.find(Number(context.req.param('partition')))
    if (partition === undefined)
      throw new QuorateError(
        'NOT_FOUND',
        `"${view.descriptor.name}" has no partition ${context.req.param('partition')}`,
      )
    if (partition.lead?.leader === undefined)
      throw new QuorateError(
        'NOT_FOUND',
        `nobody leads partition ${context.req.param('partition')} of "${view.descriptor.name}"`,
      )
    const { leader, epoch } = partition.lead
    const to = context.req.param('to') as NodeId
    const request = { table: view.descriptor.id as number, partition: partition.id, epoch, to }
    const begunMs = Date.now()
    const peer = leader as string as PeerId
    const reply = await node.context.rpc.request(peer, moveLeaderMessage, request, HAND_OVER_MS)
    return context.json({
      partition: partition.id,
      from: leader,
      to,
      epoch: reply.epoch,
      tookMs: Date.now() - begunMs,
    })
  })

  app.get('/api/v1/elect/:table', async context =>
    context.json(await node.leaders.unclean.plan(context.req.param('table'))),
  )

  app.post('/api/v1/elect/:table/:plan', async context =>
    context.json(await node.leaders.unclean.commit(context.req.param('table'), context.req.param('plan'))),
  )
}

type Lead = NonNullable<ReturnType<Node['catalog']['named']>['map']['partitions'][number]['lead']>

const leadOf = (lead: Lead | undefined) =>
  lead === undefined
    ? null
    : {
        leader: lead.leader ?? null,
        epoch: lead.epoch,
        inSync: lead.inSync,
        because: lead.evidence.kind,
        unclean: lead.unclean,
      }
