/**
 * Configuration of a server: flag > QUORATE_* > quorate.yaml > default. Every key is known or refused
 * with a suggestion; every problem names its field and where
 * it was set, and all of them are told at once.
 */

import { seedPeer } from '@quorate/client/node-transport'
import {
  assert,
  defaultTuning,
  type InitialMember,
  type JoinConfig,
  type NodeConfig,
  nodeConfigProblems,
  nodeId,
  QuorateError,
} from '@quorate/core'
import * as v from 'valibot'
import { type CoordinationSetting, parseCoordination } from './etcd/coordination-setting.ts'
import {
  environmentLayer,
  pathText,
  plainLayer,
  type SettingPath,
  SettingsLayer,
  variableOf,
} from './settings-layer.ts'

const PORT_MAX = 65_535

const split = (text: string): { host: string; port: number } => {
  const at = text.lastIndexOf(':')
  return { host: text.slice(0, at).replace(/^\[|\]$/g, ''), port: Number(text.slice(at + 1)) }
}

export function isLoopback(text: string): boolean {
  const { host } = split(text)
  return /^127\.\d+\.\d+\.\d+$/.test(host) || host === 'localhost' || host === '::1'
}

const hostAndPort = (portMin: number) =>
  v.pipe(
    v.string(),
    v.regex(/^(\[[0-9a-fA-F:]+\]|[^:\s]+):\d{1,5}$/, 'must look like host:port'),
    v.check(text => {
      const { port } = split(text)
      return port >= portMin && port <= PORT_MAX
    }, `must have a port from ${portMin} to ${PORT_MAX}`),
    v.check(
      isLoopback,
      issue =>
        `${issue.input} is not a loopback address. This version serves loopback only: there is no TLS and no authentication yet`,
    ),
  )
/** Port 0: any that is free. */
const bindAddress = hostAndPort(0)
const address = hostAndPort(1)
const duration = v.pipe(v.number(), v.integer(), v.minValue(10), v.maxValue(86_400_000))

const coordinationMistake = (text: string): string | undefined => {
  const parsed = parseCoordination(text)
  return parsed.kind === 'wrong' ? parsed.message : undefined
}
const coordination = v.pipe(
  v.string(),
  v.check(
    text => coordinationMistake(text) === undefined,
    issue => coordinationMistake(issue.input) ?? '',
  ),
)

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
  listen: v.optional(bindAddress),
  http: v.optional(bindAddress),
  data: v.string(),
  coordination: v.optional(coordination),
  zone: v.optional(v.string()),
  region: v.optional(v.string()),
  weight: v.optional(v.number()),
  members: v.optional(v.array(memberSchema)),
  join: v.optional(
    v.pipe(v.array(address), v.minLength(1, 'names at least one member: host:port[,host:port…]')),
  ),
  cluster: v.optional(v.pipe(v.string(), v.nonEmpty('is the id of the cluster, not empty'))),
  newZone: v.optional(v.boolean()),
  moveBytesPerSecond: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1_024))),
  tokensPerNode: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(256))),
  tokens: v.optional(v.picklist(['allocated', 'random'])),
  gossipIntervalMs: v.optional(duration),
  sweepIntervalMs: v.optional(duration),
  hotReadCacheMs: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(60_000))),
  scrubIntervalMs: v.optional(duration),
  collectIntervalMs: v.optional(duration),
  mergeModules: v.optional(v.array(v.pipe(v.string(), v.nonEmpty('is the path of a module')))),
  logLevel: v.optional(v.picklist(['debug', 'info', 'warn', 'error'])),
})

export type ServerSettings = v.InferOutput<typeof configSchema>

export interface ServerConfig {
  readonly node: NodeConfig
  readonly listen: string
  readonly http: string
  readonly data: string
  /** Where the registers live: on the nodes, or in an etcd. */
  readonly coordination: CoordinationSetting
  /** Paths of modules with merge functions. */
  readonly mergeModules: readonly string[]
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error'
}

const KNOWN = Object.keys(configSchema.entries)
const KNOWN_OF_MEMBER = Object.keys(memberSchema.entries)
const NUMERIC = new Set(
  KNOWN.filter(
    key => key === 'weight' || key === 'tokensPerNode' || key === 'moveBytesPerSecond' || key.endsWith('Ms'),
  ),
)
const DEFAULT_LISTEN = '127.0.0.1:7701'
const DEFAULT_HTTP = '127.0.0.1:7480'

/** Everything that `environment` sets. `members` has no environment form. */
export const environmentSettings = (environment: NodeJS.ProcessEnv): SettingsLayer =>
  environmentLayer(
    environment,
    KNOWN.filter(key => key !== 'members'),
    NUMERIC,
  )

/** What is wrong with the settings, each with the place where it can be put right. */
class Problems {
  readonly #layers: readonly SettingsLayer[]
  readonly #found: { readonly field: string; readonly text: string }[] = []

  /** `layers`: strongest first. */
  constructor(layers: readonly SettingsLayer[]) {
    this.#layers = layers
  }

  add(path: SettingPath, message: string): void {
    const [key] = path
    const layer = this.#layers.find(({ settings }) => settings[String(key)] !== undefined)
    this.addAt(layer ?? plainLayer({}), path, message)
  }

  addAt(layer: SettingsLayer, path: SettingPath, message: string): void {
    this.#found.push({ field: pathText(path), text: `${layer.where(path)}: ${message}` })
  }

  /** Throws them all as one error. */
  throwAny(): void {
    const [first, ...more] = this.#found
    if (first === undefined) return
    const message =
      more.length === 0
        ? first.text
        : [`${this.#found.length} settings are wrong:`, ...this.#found.map(({ text }) => `  ${text}`)].join(
            '\n',
          )
    throw new QuorateError('BAD_REQUEST', message, { data: { field: first.field } })
  }
}

/** `layers`: strongest first. Throws with everything that is wrong in any of them. */
export function resolveConfig(
  layers: readonly (SettingsLayer | Readonly<Record<string, unknown>>)[],
): ServerConfig {
  const sources = layers.map(layer => (layer instanceof SettingsLayer ? layer : plainLayer(layer)))
  const problems = new Problems(sources)
  const merged: Record<string, unknown> = {}
  for (const layer of [...sources].reverse()) {
    for (const [key, value] of Object.entries(layer.settings)) {
      if (!KNOWN.includes(key))
        problems.addAt(layer, [key], `unknown configuration key "${key}"${suggestion(key, KNOWN)}`)
      else if (value !== undefined) merged[key] = plainValue(key, value)
    }
  }
  const parsed = v.safeParse(configSchema, merged, { abortPipeEarly: true })
  for (const issue of parsed.issues ?? []) describeIssue(problems, issue)
  if (!parsed.success) {
    problems.throwAny()
    throw new QuorateError('INTERNAL', 'the configuration is wrong in a way that has no description')
  }
  return complete(parsed.output, problems)
}

/** Flags and variables are texts: a list is parted by commas, yes or no is true or false. */
function plainValue(key: string, value: unknown): unknown {
  const isList = key === 'join' || key === 'mergeModules'
  if (isList && typeof value === 'string') return value.split(',').map(part => part.trim())
  if (key === 'newZone' && (value === 'true' || value === 'false')) return value === 'true'
  return value
}

function describeIssue(problems: Problems, issue: v.BaseIssue<unknown>): void {
  const path = (issue.path ?? []).map(item => item.key as string | number)
  const last = path.at(-1)
  if (issue.type === 'strict_object' && issue.expected === 'never')
    return problems.add(
      path,
      `unknown configuration key "${last}"${suggestion(String(last), KNOWN_OF_MEMBER)}`,
    )
  if (issue.input === undefined) return problems.add(path, `is missing${howToGive(path)}`)
  // Other messages name the value themselves.
  const given = issue.message.startsWith('must') ? `, not ${JSON.stringify(issue.input)}` : ''
  problems.add(path, `${issue.message}${given}`)
}

const howToGive = ([key, ...more]: SettingPath): string =>
  more.length > 0 ? '' : `: --${String(key)}, ${variableOf(String(key))} or "${String(key)}:" in the file`

function complete(settings: ServerSettings, problems: Problems): ServerConfig {
  const listen = settings.listen ?? DEFAULT_LISTEN
  const http = settings.http ?? DEFAULT_HTTP
  const join = joinOf(settings, listen, problems)
  const node: NodeConfig = {
    id: nodeId(settings.id),
    members: initialMembers(settings, listen, http),
    ...(join === undefined ? {} : { join }),
    tuning: tuningOf(settings),
  }
  for (const { member, field, message } of nodeConfigProblems(node)) {
    const index = (settings.members ?? []).findIndex(({ id }) => id === (member as string | undefined))
    problems.add(member === undefined || index < 0 ? [field] : ['members', index, field], message)
  }
  problems.throwAny()
  return {
    node,
    listen,
    http,
    data: settings.data,
    coordination: coordinationOf(settings),
    mergeModules: settings.mergeModules ?? [],
    logLevel: settings.logLevel ?? 'info',
  }
}

/** Whom a node asks that joins a cluster which exists. */
function joinOf(settings: ServerSettings, listen: string, problems: Problems): JoinConfig | undefined {
  const { join, cluster, newZone, members } = settings
  if (join === undefined) {
    if (cluster !== undefined) problems.add(['cluster'], 'is for a node that joins: it needs "join" as well')
    if (newZone !== undefined) problems.add(['newZone'], 'is for a node that joins: it needs "join" as well')
    return undefined
  }
  if ((members ?? []).length > 0)
    problems.add(
      ['join'],
      'a node joins a cluster that exists, or is one of the initial members of a new one: not both "join" and "members"',
    )
  if (join.includes(listen))
    problems.add(['join'], `names ${listen}, which is this node itself: name a member of the cluster`)
  if (split(listen).port === 0)
    problems.add(['listen'], 'must have a port: the members reach a node that joins there')
  return {
    seeds: join.map(seed => ({ peer: seedPeer(seed), address: seed })),
    cluster: cluster ?? '',
    newZone: newZone ?? false,
  }
}

function coordinationOf({ coordination: text = 'embedded' }: ServerSettings): CoordinationSetting {
  const parsed = parseCoordination(text)
  assert(parsed.kind === 'parsed', 'the schema lets only parsable settings pass', text)
  return parsed.setting
}

/** This node and the others; what the list says of this node counts, since others were told the same. */
function initialMembers(settings: ServerSettings, listen: string, http: string): InitialMember[] {
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
  return others.some(member => member.id === own.id)
    ? others.map(member => (member.id === own.id ? { ...own, ...merge(member) } : member))
    : [own, ...others]
}

function tuningOf(settings: ServerSettings): NodeConfig['tuning'] {
  return {
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
    lateWriteMs: defaultTuning.lateWriteMs,
    hotReadCacheMs: settings.hotReadCacheMs ?? defaultTuning.hotReadCacheMs,
    moveBytesPerSecond: settings.moveBytesPerSecond ?? defaultTuning.moveBytesPerSecond,
  }
}

/** The member list says where others reach this node; `http` may be left out there. */
function merge(member: InitialMember): Partial<InitialMember> {
  const { http, ...rest } = member
  return http === '' ? rest : member
}

function suggestion(key: string, known: readonly string[]): string {
  const near = known
    .map(name => ({ name, distance: editDistance(key.toLowerCase(), name.toLowerCase()) }))
    .sort((a, b) => a.distance - b.distance)[0]!
  return near.distance <= 3 ? `; did you mean "${near.name}"?` : `; known: ${known.join(', ')}`
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
