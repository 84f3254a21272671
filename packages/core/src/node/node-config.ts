import { QuorateError } from '../base/errors.ts'
import type { NodeId } from '../base/ids.ts'

/** A member as the configuration names it before the cluster exists. */
export interface InitialMember {
  readonly id: NodeId
  /** `host:port` of the data listener and of the admin interface. */
  readonly address: string
  readonly http: string
  readonly zone: string
  readonly region: string
  readonly weight: number
}

export interface NodeTuning {
  readonly gossipIntervalMs: number
  readonly sweepIntervalMs: number
  readonly sweepRecheckMs: number
  readonly collectIntervalMs: number
  readonly scrubIntervalMs: number
  /** 16 allocated, or 256 random. */
  readonly tokensPerNode: number
  readonly randomTokens: boolean
}

export const defaultTuning: NodeTuning = {
  gossipIntervalMs: 1_000,
  sweepIntervalMs: 30_000,
  sweepRecheckMs: 500,
  collectIntervalMs: 60_000,
  scrubIntervalMs: 3_600_000,
  tokensPerNode: 16,
  randomTokens: false,
}

export interface NodeConfig {
  readonly id: NodeId
  /** All initial members, this one included: the same list on every node. */
  readonly members: readonly InitialMember[]
  readonly tuning: NodeTuning
}

const bad = (field: string, message: string): QuorateError =>
  new QuorateError('BAD_REQUEST', `${field}: ${message}`, { data: { field } })

export function checkNodeConfig(config: NodeConfig): void {
  const ids = config.members.map(member => member.id)
  if (!ids.includes(config.id))
    throw bad('members', `the node "${config.id}" is not among the initial members`)
  if (new Set(ids).size !== ids.length) throw bad('members', 'two members have the same id')
  for (const member of config.members) {
    if (!/^[a-zA-Z0-9][a-zA-Z0-9._-]{0,31}$/.test(member.id))
      throw bad('id', `"${member.id}" is no node id (letters, digits, . _ -, up to 32)`)
    if (!(member.weight > 0) || member.weight > 64)
      throw bad('weight', `of "${member.id}" must be above 0 and at most 64`)
    if (member.zone === '') throw bad('zone', `of "${member.id}" is empty`)
  }
}

const VOTERS_MAX = 5

/** The nodes that hold the registers: the first by id, an odd number up to five. */
export function initialVoters(members: readonly InitialMember[]): NodeId[] {
  const ids = members.map(member => member.id).sort()
  const count = Math.min(VOTERS_MAX, ids.length)
  return ids.slice(0, count % 2 === 0 ? count - 1 : count)
}
