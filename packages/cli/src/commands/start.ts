/** `quorate start`: one node in this process. */

import { stat } from 'node:fs/promises'
import { usageError } from '../command-error.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import type { Terminal } from '../output/terminal.ts'
import { serveNode } from '../server/serve-node.ts'
import { startFailure } from '../server/start-failure.ts'

export interface StartOptions {
  readonly config?: string
  readonly id?: string
  readonly listen?: string
  readonly http?: string
  readonly data?: string
  readonly coordination?: string
  readonly zone?: string
  readonly region?: string
  readonly weight?: number
  readonly member?: readonly Record<string, unknown>[]
  readonly logLevel?: string
  readonly join?: string
  readonly cluster?: string
  readonly newZone?: boolean
  readonly moveBytesPerSecond?: number
  readonly mergeModules?: string
  readonly rebuild?: boolean
}

const MEMBER_FIELDS = ['id', 'address', 'http', 'zone', 'region', 'weight']

/** `id=n2,address=127.0.0.1:7702,http=127.0.0.1:7481,zone=b` */
export function parseMember(text: string): Record<string, unknown> {
  const member: Record<string, unknown> = {}
  for (const part of text.split(',')) {
    const at = part.indexOf('=')
    const name = part.slice(0, at).trim()
    if (at < 1 || !MEMBER_FIELDS.includes(name))
      throw usageError(
        `--member: "${part}" is not understood; known fields: ${MEMBER_FIELDS.join(', ')}`,
        'quorate start … --member id=n2,address=127.0.0.1:7702,http=127.0.0.1:7481,zone=b',
      )
    const value = part.slice(at + 1).trim()
    member[name] = name === 'weight' ? Number(value) : value
  }
  if (member.id === undefined || member.address === undefined)
    throw usageError(`--member "${text}" needs at least id=… and address=…`)
  return member
}

export async function start(options: StartOptions, terminal: Terminal): Promise<ExitCode> {
  const where: { id?: string; data?: string } = {}
  try {
    const { environmentSettings, fileLayer, flagLayer, resolveConfig } = await import('@quorate/server')
    const { config: file, member, rebuild, ...flags } = options
    const given = Object.fromEntries(Object.entries(flags).filter(([, value]) => value !== undefined))
    const layers = [
      flagLayer(member === undefined ? given : { ...given, members: member }),
      environmentSettings(process.env),
      ...(file === undefined ? [] : [await fileLayer(file)]),
    ]
    const config = resolveConfig(layers)
    Object.assign(where, { id: config.node.id, data: config.data })
    if (rebuild === true) await setAside(config.data, config.node.id, terminal)
    await new Promise<void>((_resolve, reject) => {
      // Resolved by nothing: the node serves until a signal ends the process.
      serveNode(config, {
        onServing({ address, http }) {
          const { id, join } = config.node
          terminal.out.write(`${id} serving  data ${address}  admin http://${http}  pid ${process.pid}\n`)
          if (join === undefined) return
          const seeds = join.seeds.map(seed => seed.address).join(', ')
          terminal.error.write(
            `${id} asks ${seeds} to let it join; as a new member it owns nothing before a plan is committed: quorate cluster plan --http ${http}\n`,
          )
        },
      }).catch(reject)
    })
    return exitCodes.ok
  } catch (error) {
    throw startFailure(error, where)
  }
}

/** Refuses what is not this node's or is in use; then moves the whole directory, deleting nothing. */
async function setAside(path: string, id: string, terminal: Terminal): Promise<void> {
  const there = await stat(path).catch(() => undefined)
  if (there === undefined) {
    terminal.error.write(`${path} does not exist: the node starts empty\n`)
    return
  }
  const { DataDirectory } = await import('@quorate/server')
  try {
    const directory = await DataDirectory.open(path, id)
    await directory.release()
  } catch (error) {
    // A directory too damaged to be opened is the very reason to move it.
    if (!(error instanceof Error && 'code' in error && error.code === 'STORE_DAMAGED')) throw error
  }
  const target = await DataDirectory.setAside(path)
  terminal.error.write(`moved ${path} to ${target}; the node starts empty and is rebuilt from its replicas\n`)
}
