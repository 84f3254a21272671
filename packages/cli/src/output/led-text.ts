/** Tables with leaders in words: who leads how much, and how far followers are behind. */

import { type FollowerLag, lagTogether } from '@quorate/server'
import type { StatusDocument } from '../admin-client.ts'
import type { Style } from './style.ts'
import { bytes, count } from './words.ts'

/** Silent for longer than this is worth a word. */
const SILENT_MS = 2_000

export function followerText({
  node,
  entries,
  bytes: size,
  seconds,
  silentMs,
  filling,
}: FollowerLag): string {
  const silent =
    silentMs === null
      ? `${node} has not answered yet`
      : silentMs > SILENT_MS
        ? `${node} has not answered for ${Math.round(silentMs / 1_000)} s`
        : undefined
  if (silent !== undefined)
    return entries > 0 ? `${silent}, ${count(entries, 'entry', 'entries')} behind` : silent
  if (filling > 0) return `${node} is being filled anew`
  if (entries === 0) return `${node} is up to date`
  return `${node} is ${count(entries, 'entry', 'entries')} (${bytes(size)}, ${seconds.toFixed(1)} s) behind`
}

export interface LedTable {
  readonly table: string
  readonly ack: string
  readonly log: string
  /** How many partitions each node leads. */
  readonly leads: readonly (readonly [string, number])[]
  /** Of whom no node that answered leads them. */
  readonly partitions: number
  readonly unled: number
  readonly followers: readonly FollowerLag[]
}

/** What the nodes say together of each table that has leaders. */
export function ledTables(documents: readonly StatusDocument[]): LedTable[] {
  const names = new Set(
    documents.flatMap(({ tables }) => tables.filter(({ led }) => led).map(({ name }) => name)),
  )
  return [...names].sort().map(table => {
    const told = documents.flatMap(({ node, tables }) => {
      const found = tables.find(({ name }) => name === table)
      return found?.led === undefined ? [] : [{ node, partitions: found.partitions, led: found.led }]
    })
    const { ack, log } = told[0]!.led
    const partitions = Math.max(...told.map(({ partitions: all }) => all))
    const leads = told.map(({ node, led }) => [node, led.leads] as const)
    const followers = new Map<string, FollowerLag>()
    for (const follower of told.flatMap(({ led }) => led.followers))
      followers.set(follower.node, lagTogether(followers.get(follower.node), follower))
    const unled = Math.max(0, partitions - leads.reduce((sum, [, led]) => sum + led, 0))
    return { table, ack, log, leads, partitions, unled, followers: [...followers.values()] }
  })
}

const isBehind = ({ entries, silentMs, filling }: FollowerLag): boolean =>
  entries > 0 || filling > 0 || silentMs === null || silentMs > SILENT_MS

/** Under the nodes of `status`: a line per table, and what is not as it should be. */
export function ledLines(tables: readonly LedTable[], style: Style): string[] {
  if (tables.length === 0) return []
  return [
    '',
    ...tables.map(({ table, ack, log, leads, unled, followers }) => {
      const behind = followers.filter(isBehind).map(followerText)
      const who = leads.filter(([, led]) => led > 0).map(([node, led]) => `${node} ${led}`)
      const parts = [
        `${style.bold(table)}  ${log} log, ack ${ack}`,
        who.length === 0 ? '' : `leaders: ${who.join(', ')}`,
        unled === 0 ? '' : style.red(`nobody seen leading ${count(unled, 'partition')}`),
        behind.length > 0 ? style.yellow(behind.join(', ')) : who.length === 0 ? '' : 'followers up to date',
      ]
      return parts.filter(part => part !== '').join(' · ')
    }),
  ]
}
