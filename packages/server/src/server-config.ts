/**
 * Configuration of a server: flag > QUORATE_* > quorate.yaml > default. Every key is known or refused
 * with a suggestion; every problem names its field.
 */

import { readFile } from 'node:fs/promises'
import {
  checkNodeConfig,
  defaultTuning,
  type InitialMember,
  type NodeConfig,
  nodeId,
  QuorateError,
} from '@quorate/core'
import * as v from 'valibot'
import { parse } from 'yaml'

const address = v.pipe(
  v.string(),
  v.regex(/^(\[[0-9a-fA-F:]+\]|[^:\s]+):\d{1,5}$/, 'must look like host:port'),
)
const duration = v.pipe(v.number(), v.integer(), v.minValue(10), v.maxValue(86_400_000))

const memberSchema = v.strictObject({
  id: v.string(),
  address,
  http: v.optional(address),
  zone: v.optional(v.string()),
  region: v.optional(v.string()),
  weight: v.optional(v.number()),
})

const configSchema = v.strictObject({
  id: v.string(),
  listen: v.optional(address),
  http: v.optional(address),
  data: v.string(),
  zone: v.optional(v.string()),
  region: v.optional(v.string()),
  weight: v.optional(v.number()),
  members: v.optional(v.array(memberSchema)),
  tokensPerNode: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(256))),
  tokens: v.optional(v.picklist(['allocated', 'random'])),
  gossipIntervalMs: v.optional(duration),
  sweepIntervalMs: v.optional(duration),
  scrubIntervalMs: v.optional(duration),
  collectIntervalMs: v.optional(duration),
  logLevel: v.optional(v.picklist(['debug', 'info', 'warn', 'error'])),
})

export type ServerSettings = v.InferOutput<typeof configSchema>

export interface ServerConfig {
  readonly node: NodeConfig
  readonly listen: string
  readonly http: string
  readonly data: string
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error'
}

const KNOWN = Object.keys(configSchema.entries)
const DEFAULT_LISTEN = '127.0.0.1:7701'
const DEFAULT_HTTP = '127.0.0.1:7480'

const usage = (message: string, field?: string): QuorateError =>
  new QuorateError('BAD_REQUEST', message, field === undefined ? {} : { data: { field } })

export async function readConfigFile(path: string): Promise<Record<string, unknown>> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (cause) {
    throw new QuorateError(
      'BAD_REQUEST',
      `the configuration file ${path} cannot be read: ${(cause as Error).message}`,
      { cause },
    )
  }
  let parsed: unknown
  try {
    parsed = parse(text)
  } catch (cause) {
    throw new QuorateError('BAD_REQUEST', `${path} is not YAML: ${(cause as Error).message}`, { cause })
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed))
    throw usage(`${path} must hold settings as "key: value"`)
  return parsed as Record<string, unknown>
}

/** QUORATE_SWEEP_INTERVAL_MS=… sets sweepIntervalMs. `members` has no environment form. */
export function environmentSettings(environment: NodeJS.ProcessEnv): Record<string, unknown> {
  const out: Record<string, unknown> = {}
  for (const key of KNOWN) {
    const value = environment[`QUORATE_${key.replace(/[A-Z]/g, letter => `_${letter}`).toUpperCase()}`]
    if (value === undefined || key === 'members') continue
    out[key] =
      /^-?\d+(\.\d+)?$/.test(value) && typeof value === 'string' && key !== 'id' && key !== 'zone'
        ? Number(value)
        : value
  }
  return out
}

/** `layers`: strongest first. */
export function resolveConfig(layers: readonly Record<string, unknown>[]): ServerConfig {
  const merged: Record<string, unknown> = {}
  for (const layer of [...layers].reverse()) {
    for (const [key, value] of Object.entries(layer)) {
      if (!KNOWN.includes(key)) throw usage(`unknown configuration key "${key}"${suggestion(key)}`, key)
      if (value !== undefined) merged[key] = value
    }
  }
  const parsed = v.safeParse(configSchema, merged)
  if (!parsed.success) {
    const issue = parsed.issues[0]
    const field = v.getDotPath(issue) ?? 'configuration'
    throw usage(issue.input === undefined ? `${field} is missing` : `${field}: ${issue.message}`, field)
  }
  return complete(parsed.output)
}

function complete(settings: ServerSettings): ServerConfig {
  const listen = settings.listen ?? DEFAULT_LISTEN
  const http = settings.http ?? DEFAULT_HTTP
  for (const [name, bind] of [
    ['listen', listen],
    ['http', http],
  ] as const)
    refuseOpenBind(name, bind)
  for (const member of settings.members ?? []) {
    refuseOpenBind(`members: ${member.id}`, member.address)
    if (member.http !== undefined) refuseOpenBind(`members: ${member.id} (http)`, member.http)
  }
  const own: InitialMember = {
    id: nodeId(settings.id),
    address: listen,
    http,
    zone: settings.zone ?? settings.id,
    region: settings.region ?? 'local',
    weight: settings.weight ?? 1,
  }
  const others = (settings.members ?? []).map(member => ({
    id: nodeId(member.id),
    address: member.address,
    http: member.http ?? '',
    zone: member.zone ?? member.id,
    region: member.region ?? 'local',
    weight: member.weight ?? 1,
  }))
  const members = others.some(member => member.id === own.id)
    ? others.map(member => (member.id === own.id ? { ...own, ...merge(member) } : member))
    : [own, ...others]
  const node: NodeConfig = {
    id: own.id,
    members,
    tuning: {
      ...defaultTuning,
      tokensPerNode:
        settings.tokens === 'random' && settings.tokensPerNode === undefined
          ? 256
          : (settings.tokensPerNode ?? defaultTuning.tokensPerNode),
      randomTokens: settings.tokens === 'random',
      gossipIntervalMs: settings.gossipIntervalMs ?? defaultTuning.gossipIntervalMs,
      sweepIntervalMs: settings.sweepIntervalMs ?? defaultTuning.sweepIntervalMs,
      scrubIntervalMs: settings.scrubIntervalMs ?? defaultTuning.scrubIntervalMs,
      collectIntervalMs: settings.collectIntervalMs ?? defaultTuning.collectIntervalMs,
    },
  }
  checkNodeConfig(node)
  return { node, listen, http, data: settings.data, logLevel: settings.logLevel ?? 'info' }
}

/** The member list says where others reach this node; `http` may be left out there. */
function merge(member: InitialMember): Partial<InitialMember> {
  const { http, ...rest } = member
  return http === '' ? rest : member
}

function refuseOpenBind(name: string, bind: string): void {
  const host = bind.slice(0, bind.lastIndexOf(':')).replace(/^\[|\]$/g, '')
  if (/^127\.\d+\.\d+\.\d+$/.test(host) || host === 'localhost' || host === '::1') return
  throw usage(
    `${name}: ${bind} is not a loopback address. This version serves loopback only: there is no TLS and no authentication yet`,
    name,
  )
}

function suggestion(key: string): string {
  const near = KNOWN.map(known => ({
    known,
    distance: editDistance(key.toLowerCase(), known.toLowerCase()),
  })).sort((a, b) => a.distance - b.distance)[0]!
  return near.distance <= 3 ? `; did you mean "${near.known}"?` : `; known: ${KNOWN.join(', ')}`
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)))
    }
    row = next
  }
  return row[b.length]!
}
