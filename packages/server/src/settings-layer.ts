/**
 * Settings with where they came from, so that what is wrong with one is said where it can be put right:
 * the flag, the variable, or the file and its line.
 */

import { readFile } from 'node:fs/promises'
import { QuorateError } from '@quorate/core'
import { isMap, isNode, isPair, isSeq, LineCounter, parseDocument } from 'yaml'

/** `['members', 1, 'address']` */
export type SettingPath = readonly (string | number)[]

export class SettingsLayer {
  readonly settings: Readonly<Record<string, unknown>>
  /** Where a setting stands, for the start of a sentence about it. */
  readonly where: (path: SettingPath) => string

  constructor(settings: Readonly<Record<string, unknown>>, where: (path: SettingPath) => string) {
    this.settings = settings
    this.where = where
  }
}

/** `members[1].address` */
export function pathText(path: SettingPath): string {
  return path
    .map((part, i) => (typeof part === 'number' ? `[${part}]` : i === 0 ? part : `.${part}`))
    .join('')
}

/** Settings made by a program. */
export const plainLayer = (settings: Readonly<Record<string, unknown>>): SettingsLayer =>
  new SettingsLayer(settings, pathText)

const dashed = (key: string): string => key.replace(/[A-Z]/g, letter => `-${letter.toLowerCase()}`)

/** Settings given as flags; members one by one as `--member`. */
export function flagLayer(settings: Readonly<Record<string, unknown>>): SettingsLayer {
  return new SettingsLayer(settings, ([key, index, field]) => {
    if (key !== 'members') return `--${dashed(String(key))}`
    const { id } = (settings.members as { id?: unknown }[] | undefined)?.[Number(index)] ?? {}
    return `--member${id === undefined ? '' : ` id=${String(id)}`}${field === undefined ? '' : `, ${String(field)}`}`
  })
}

export const variableOf = (key: string): string => `QUORATE_${dashed(key).replaceAll('-', '_').toUpperCase()}`

/** QUORATE_SWEEP_INTERVAL_MS=… sets sweepIntervalMs. Of `keys`, those in `numeric` are numbers. */
export function environmentLayer(
  environment: NodeJS.ProcessEnv,
  keys: readonly string[],
  numeric: ReadonlySet<string>,
): SettingsLayer {
  const settings: Record<string, unknown> = {}
  for (const key of keys) {
    const value = environment[variableOf(key)]
    if (value === undefined) continue
    settings[key] = numeric.has(key) && /^-?\d+(\.\d+)?$/.test(value) ? Number(value) : value
  }
  return new SettingsLayer(settings, ([key]) => variableOf(String(key)))
}

/** Settings of a YAML file. Rejects with every place at which the file is not YAML. */
export async function fileLayer(path: string): Promise<SettingsLayer> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    const why =
      (cause as NodeJS.ErrnoException).code === 'EISDIR' ? 'it is a directory' : (cause as Error).message
    throw new QuorateError('BAD_REQUEST', `the configuration file ${path} cannot be read: ${why}`, { cause })
  })
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false })
  const at = (offset: number): string => `${path} line ${lines.linePos(offset).line}`
  if (document.errors.length > 0) {
    const found = document.errors.map(error => `${at(error.pos[0])}: ${error.message}`)
    throw new QuorateError('BAD_REQUEST', `not YAML: ${found.join('\n  ')}`, { cause: document.errors[0] })
  }
  const settings: unknown = document.toJS()
  if (typeof settings !== 'object' || settings === null || Array.isArray(settings))
    throw new QuorateError('BAD_REQUEST', `${path} must hold settings as "key: value"`)
  return new SettingsLayer(
    settings as Record<string, unknown>,
    wanted => `${at(offsetOf(document.contents, wanted))}: ${pathText(wanted)}`,
  )
}

/** Where a setting is named, or, when it is missing, the nearest thing around it that is there. */
function offsetOf(root: unknown, path: SettingPath): number {
  let at: unknown = root
  let offset = 0
  for (const part of path) {
    if (isMap(at)) {
      const pair = at.items.find(
        item => isPair(item) && isNode(item.key) && String(item.key) === String(part),
      )
      if (pair === undefined) break
      if (isNode(pair.key)) offset = pair.key.range?.[0] ?? offset
      at = pair.value
    } else if (isSeq(at)) {
      at = at.items[Number(part)]
      if (isNode(at)) offset = at.range?.[0] ?? offset
    } else break
  }
  return offset
}
