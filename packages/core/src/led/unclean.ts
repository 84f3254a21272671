/**
 * Unclean elections: a leader for a partition whose clean election is impossible, at the price of what only those that do
 * not answer may have. Never made by itself. A plan says who would lead and what may be lost; to commit it is to make it
 * again, find the same one, have its voters promise, and write it with its price into the register.
 *
 * Invariants: nothing is promised or changed by planning; what is committed is what was shown: the same epoch, the same
 * heir, no less of its log; the record says which epoch began so, so that a returning replica knows that what it loses
 * may have been acknowledged.
 */

import { stringToHex, u32ToString } from '../base/bytes.ts'
import { QuorateError } from '../base/errors.ts'
import type { ByteString, NodeId, OperationId, PeerId, TableId } from '../base/ids.ts'
import { murmur3OfString } from '../base/murmur3.ts'
import type { TableView } from '../catalog/catalog.ts'
import { ledOf } from '../catalog/table-descriptor.ts'
import { electOver, lossOf, type PossibleLoss, type Vote } from '../leadership/election.ts'
import { comparePoints, type LogPoint } from '../leadership/epoch-history.ts'
import { electedUncleanly, type Lead } from '../leadership/leadership.ts'
import { changeChunk } from '../partitioning/map-chunks.ts'
import { type Partition, partitionSets } from '../partitioning/partition-map.ts'
import { type LogVote, logVoteMessage, mapChangedMessage } from '../wire/led-messages.ts'
import type { ChallengerOptions } from './challenger.ts'

type Options = Pick<ChallengerOptions, 'node' | 'change' | 'operation' | 'leaseMs'>

export interface UncleanItem {
  readonly table: string
  readonly partition: number
  /** The epoch that has no leader any more, and who led it. */
  readonly epoch: number
  readonly before: NodeId | undefined
  readonly to: NodeId
  readonly loss: PossibleLoss
  /** Entries that are known to exist and would be given up; those that nobody told of are more. */
  readonly entriesKnown: number
  readonly words: string
}

export interface UncleanPlan {
  readonly id: string
  readonly items: readonly UncleanItem[]
  /** Partitions without a leader that need no such plan, or for which none is possible, and why. */
  readonly others: readonly { readonly table: string; readonly partition: number; readonly why: string }[]
}

interface Asked {
  readonly view: TableView
  readonly partition: Partition
  readonly lead: Lead
  readonly votes: readonly (LogVote & { readonly node: NodeId })[]
}

export class UncleanElections {
  readonly #options: Options

  constructor(options: Options) {
    this.#options = options
  }

  /** What could be done for a table, or one partition of it. */
  async plan(table: string, partition?: number): Promise<UncleanPlan> {
    const view = this.#options.node.catalog.named(table)
    if (ledOf(view.descriptor) === undefined)
      throw new QuorateError('BAD_REQUEST', `table "${table}" is leaderless: nobody leads its partitions`)
    const chosen = view.map.partitions.filter(({ id }) => partition === undefined || id === partition)
    if (chosen.length === 0)
      throw new QuorateError('NOT_FOUND', `table "${table}" has no partition ${partition}`)
    const chunks = new Set(chosen.map(({ chunk }) => chunk))
    await Promise.all([...chunks].map(chunk => this.#options.node.catchUp(view.descriptor.id, chunk)))
    const now = this.#options.node.catalog.named(table)
    const asked = await Promise.all(chosen.map(({ id }) => this.#ask(now, now.map.find(id)!, true)))
    const items: UncleanItem[] = []
    const others: { table: string; partition: number; why: string }[] = []
    for (const one of asked) {
      const item = itemOf(one)
      if (typeof item !== 'string') items.push(item)
      else if (item !== '') others.push({ table, partition: one.partition.id, why: item })
    }
    return { id: planId(items), items, others }
  }

  /** Resolves when the heirs are in the register; throws CONFLICT, with nothing changed, when the plan is not the one of now. */
  async commit(table: string, id: string, partition?: number): Promise<UncleanPlan> {
    const plan = await this.plan(table, partition)
    if (plan.items.length === 0 || plan.id !== id)
      throw new QuorateError(
        'CONFLICT',
        plan.items.length === 0
          ? `plan ${id} is stale: no partition of "${table}" needs an unclean election now`
          : `plan ${id} is stale; the plan of now is ${plan.id}`,
        { data: { plan: plan.id } },
      )
    for (const item of plan.items) await this.#carryOut(item, id)
    return plan
  }

  async #carryOut(item: UncleanItem, plan: string): Promise<void> {
    const { node, change, operation } = this.#options
    const view = node.catalog.named(item.table)
    const partition = view.map.find(item.partition)!
    const asked = await this.#ask(view, partition, false)
    const now = itemOf(asked)
    const isLess =
      typeof now === 'string' || now.to !== item.to || comparePoints(now.loss.after, item.loss.after) < 0
    if (isLess)
      throw new QuorateError(
        'CONFLICT',
        `partition ${item.partition}: ${typeof now === 'string' ? now : `${item.to} did not promise, or has less than the plan said`}; nothing was changed`,
      )
    const challenge = { rule: ruleOf(asked), seenEpoch: item.epoch, votes: votesOf(asked), preferred: [] }
    let refusal = 'there is no such partition'
    const outcome = await change(
      view.descriptor.id,
      partition.chunk,
      current => {
        const changed =
          current &&
          changeChunk(current, entry => {
            if (entry.id !== item.partition || entry.lead === undefined) return entry
            const { writeSets: sets } = partitionSets(entry)
            const replicas = [...new Set(sets.flat())]
            const next = electedUncleanly(
              { ...entry.lead, replicas, sets },
              challenge,
              item.to,
              plan,
              item.loss,
            )
            if (typeof next === 'string') {
              refusal = next
              return entry
            }
            const { leader, epoch, inSync, evidence, unclean } = next
            return { ...entry, lead: { leader, epoch, inSync, evidence, unclean } }
          })
        return changed ?? refusal
      },
      operation() as OperationId,
    )
    if (outcome.kind !== 'committed')
      throw new QuorateError('CONFLICT', `partition ${item.partition}: ${outcome.reason}`, {
        outcome: outcome.kind === 'unknown' ? 'unknown' : 'not-applied',
      })
    const news = { table: view.descriptor.id as TableId as number, index: partition.chunk }
    for (const holder of partition.holders)
      if (holder !== node.self) node.rpc.tell(holder as string as PeerId, mapChangedMessage, news)
  }

  async #ask(view: TableView, partition: Partition, dry: boolean): Promise<Asked> {
    const { node, leaseMs } = this.#options
    const lead = partition.lead!
    const place = { table: view.descriptor.id as number, partition: partition.id, epoch: lead.epoch }
    // Nobody is the candidate: whoever has heard a leader lately says so.
    const request = { candidate: '' as NodeId, dry, partitions: [place] }
    const votes: (LogVote & { node: NodeId })[] = []
    await Promise.all(
      partition.holders.map(
        holder =>
          new Promise<void>(resolve => {
            node.rpc.call([holder as string as PeerId], logVoteMessage, request, leaseMs, (_, reply) => {
              const vote = reply?.votes[0]
              if (vote !== undefined) votes.push({ node: holder, ...vote })
              resolve()
            })
          }),
      ),
    )
    return { view, partition, lead, votes }
  }
}

function ruleOf({ view, partition }: Asked) {
  const { ack, minInSync } = ledOf(view.descriptor)!
  return { ack, minInSync, n: partition.replicas.length }
}

const votesOf = ({ votes }: Asked): Vote[] =>
  votes
    .filter(({ granted }) => granted)
    .map(({ node, end, emptied }) => (emptied ? { node, end, isEmptied: true } : { node, end }))

/** What would be done; '' when it has a leader; otherwise why nothing can be. */
function itemOf(asked: Asked): UncleanItem | string {
  const { view, partition, lead, votes } = asked
  if (votes.some(({ leads }) => leads)) return ''
  const rule = ruleOf(asked)
  const promised = votesOf(asked)
  const question = { rule, inSync: lead.inSync, votes: promised, preferred: [] }
  const election = electOver(partition.writeSets, question)
  if (election.kind === 'clean') return 'a clean election is possible, and is being made'
  const busy = votes.find(({ granted }) => !granted)
  if (busy !== undefined) return `${busy.node} does not promise yet: ${busy.why}`
  const homes = partition.writeSets.flat()
  const heirs = promised.filter(({ node, isEmptied }) => isEmptied !== true && homes.includes(node))
  if (heirs.length === 0) return 'none of its replicas answers with a log of its own: there is nobody to lead'
  const told = votes.map(({ told: point }) => point)
  const loss = lossOf({ ...question, replicas: partition.holders, votes: heirs }, told)
  const to = [...heirs].sort((a, b) => comparePoints(b.end, a.end) || (a.node < b.node ? -1 : 1))[0]!.node
  const entriesKnown = loss.upTo.epoch === loss.after.epoch ? loss.upTo.position - loss.after.position : 0
  const item = {
    table: view.descriptor.name,
    partition: partition.id,
    epoch: lead.epoch,
    before: lead.leader,
    to,
    loss,
  }
  return { ...item, entriesKnown, words: wordsOf({ ...item, entriesKnown }, rule.ack) }
}

const pointText = ({ epoch, position }: LogPoint): string => `${epoch}/${position}`

/** With whom a leader can acknowledge that has not heard of its successor. */
const COMPANY: Readonly<Record<string, string>> = {
  none: '',
  one: ' together with another replica',
  'in-sync': ' together with the others of its in-sync set',
}

function wordsOf(item: Omit<UncleanItem, 'words'>, ack: string): string {
  const { partition, epoch, before, to, loss, entriesKnown } = item
  const who = loss.onlyOn.join(', ')
  const known =
    entriesKnown > 0
      ? `${entriesKnown} ${entriesKnown === 1 ? 'entry' : 'entries'} (up to ${pointText(loss.upTo)}) that ${before ?? 'its leader'} had told of, and`
      : 'nothing that was told of, but perhaps'
  const company = COMPANY[ack]
  const alone =
    company === undefined
      ? ''
      : `; ${before ?? 'the old leader'}, if it is alive and only cut off${company}, goes on acknowledging writes until it hears of this`
  return `partition ${partition}: ${to} would lead after epoch ${epoch} with everything up to ${pointText(loss.after)}. Given up: ${known} whatever only ${who || 'those that do not answer'} may have${alone}. What is on the disk of a replica that returns goes to the ledger`
}

/** The same plan has the same name on every node. */
function planId(items: readonly UncleanItem[]): string {
  const text = JSON.stringify(items.map(({ words: _, ...item }) => item)) as ByteString
  return `u-${stringToHex((u32ToString(murmur3OfString(text, 1)) + u32ToString(murmur3OfString(text, 2))) as ByteString).slice(0, 12)}`
}
