/**
 * What clients do. Each workload works on tables of one role and takes one step at a time; what must hold
 * of the outcome is the checkers' business.
 */

import type { Level } from '@quorate/client/pure'
import { joinContextTokens, randomBelow, randomChance, randomPick } from '@quorate/core'
import type { Actor, Basis, WriteChoice } from './actor.ts'

export type TableRole = 'sets' | 'carts' | 'lww' | 'union' | 'deletes' | 'monotonic' | 'hot'

/** Drawn for every seed; `hot` is drawn apart. */
export const tableRoles: readonly TableRole[] = ['sets', 'carts', 'lww', 'union', 'deletes', 'monotonic']

export interface WorkTable {
  readonly name: string
  readonly role: TableRole
  readonly keys: number
  readonly n: number
  readonly sloppy: boolean
  readonly rule: string
}

/** A context that has seen nothing: under `lww` the write then claims to replace nothing. */
const nothingSeen: Basis = { token: joinContextTokens([]), seen: new Set() }

export function step(actor: Actor, table: WorkTable): Promise<unknown> {
  return randomChance(actor.random, SCANS) ? scan(actor, table) : steps[table.role](actor, table)
}

/** In pages of a few rows, so that they end where replicas differ. */
function scan(actor: Actor, table: WorkTable): Promise<void> {
  const keys = Array.from({ length: table.keys }, (_, i) => `k${i}`)
  return actor.scan(table.name, keys, pickLevel(actor, table), 1 + randomBelow(actor.random, 6))
}

/** Share of steps that read a whole table. */
const SCANS = 0.02

const pickKey = (actor: Actor, table: WorkTable): string => `k${randomBelow(actor.random, table.keys)}`

/** Mostly the table's own level. */
function pickLevel(actor: Actor, table: WorkTable): Level | undefined {
  const { random } = actor
  if (!randomChance(random, 0.3)) return undefined
  return randomPick<Level>(random, ['one', 'quorum', 'all', 1 + randomBelow(random, table.n)])
}

const pickStrict = (actor: Actor, table: WorkTable): boolean | undefined =>
  table.sloppy && randomChance(actor.random, 0.3) ? true : undefined

/** The same operation through two coordinators at once, as an impatient proxy would do it. */
function writeTwice(actor: Actor, table: WorkTable, key: string, choice: WriteChoice): Promise<unknown> {
  const tag = actor.newTag()
  const operation = actor.newOperation()
  return Promise.all([1, 2].map(() => actor.write(table.name, key, tag, { ...choice, operation })))
}

const steps: Record<TableRole, (actor: Actor, table: WorkTable) => Promise<unknown>> = {
  /** Fresh rows, and many blind values on few rows. */
  async sets(actor, table) {
    const tag = actor.newTag()
    const choice = { w: pickLevel(actor, table), strict: pickStrict(actor, table) }
    if (randomChance(actor.random, 0.4))
      return actor.read(table.name, pickKey(actor, table), pickLevel(actor, table))
    if (randomChance(actor.random, 0.5)) return actor.write(table.name, `u-${tag}`, tag, choice)
    return actor.write(table.name, pickKey(actor, table), tag, choice)
  },

  /** Read, change, write back with the context; sometimes once more upon the own write; sometimes doubled. */
  async carts(actor, table) {
    const key = pickKey(actor, table)
    const found = await actor.read(table.name, key, pickLevel(actor, table))
    if (found === undefined) return
    const choice = { w: pickLevel(actor, table), strict: pickStrict(actor, table), basis: found }
    if (randomChance(actor.random, 0.15)) return writeTwice(actor, table, key, choice)
    const written = await actor.write(table.name, key, actor.newTag(), choice)
    if (written === undefined || !randomChance(actor.random, 0.3)) return
    return actor.write(table.name, key, actor.newTag(), { ...choice, basis: written })
  },

  /** Last write wins, each write saying what it has seen. */
  async lww(actor, table) {
    const key = pickKey(actor, table)
    const basis = randomChance(actor.random, 0.5)
      ? nothingSeen
      : await actor.read(table.name, key, pickLevel(actor, table))
    const choice = {
      basis,
      blind: 'asks coordinator',
      w: pickLevel(actor, table),
      strict: pickStrict(actor, table),
    } as const
    return actor.write(table.name, key, actor.newTag(), choice)
  },

  async union(actor, table) {
    const key = pickKey(actor, table)
    const tag = actor.newTag()
    const blind = randomChance(actor.random, 0.3)
    const found = blind ? undefined : await actor.read(table.name, key, pickLevel(actor, table))
    if (!blind && found === undefined) return
    const items = [...new Set([...(found?.tags ?? []), tag])].sort()
    return actor.write(table.name, key, tag, { basis: found, items, w: pickLevel(actor, table) })
  },

  /** Rows that are deleted, some of them again and again. */
  async deletes(actor, table) {
    const key = pickKey(actor, table)
    const found = await actor.read(table.name, key, pickLevel(actor, table))
    if (found === undefined) return
    const choice = { basis: found, w: pickLevel(actor, table), strict: pickStrict(actor, table) }
    if (found.tags.length > 0 && !randomChance(actor.random, 0.25))
      return actor.write(table.name, key, undefined, choice)
    if (randomChance(actor.random, 0.3)) return writeTwice(actor, table, key, choice)
    return actor.write(table.name, key, actor.newTag(), choice)
  },

  /** Keys in parts: values from everywhere, and writers who gather what there is, replace it or delete it. */
  async hot(actor, table) {
    const key = pickKey(actor, table)
    const choice = { w: pickLevel(actor, table), strict: pickStrict(actor, table) }
    if (randomChance(actor.random, 0.4)) {
      return randomChance(actor.random, 0.2)
        ? writeTwice(actor, table, key, choice)
        : actor.write(table.name, key, actor.newTag(), choice)
    }
    const found = await actor.read(table.name, key, pickLevel(actor, table))
    if (found === undefined || randomChance(actor.random, 0.3)) return
    const upon = { ...choice, basis: found }
    if (randomChance(actor.random, 0.35)) return actor.write(table.name, key, undefined, upon)
    if (randomChance(actor.random, 0.3)) return writeTwice(actor, table, key, upon)
    const written = await actor.write(table.name, key, actor.newTag(), upon)
    if (written === undefined || !randomChance(actor.random, 0.3)) return
    return actor.write(table.name, key, actor.newTag(), { ...upon, basis: written })
  },

  /** Few writes, many quorum reads in a row. */
  async monotonic(actor, table) {
    const key = pickKey(actor, table)
    if (randomChance(actor.random, 0.3)) {
      const basis = randomChance(actor.random, 0.7) ? await actor.read(table.name, key) : undefined
      const blind = table.rule === 'lww' ? 'asks coordinator' : 'saw nothing'
      return actor.write(table.name, key, actor.newTag(), { basis, blind, w: pickLevel(actor, table) })
    }
    for (let i = 0; i < 3; i++) await actor.read(table.name, key)
  },
}
