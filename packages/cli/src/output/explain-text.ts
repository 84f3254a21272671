/** `explain`, drawn: hash → token → partition → replicas → versions on each → why this answer. */

import type { Explanation } from '@quorate/server'
import { padEnd, type Style, textWidth } from './style.ts'
import { wholeNumber } from './words.ts'

const RULER = 48

/** A read that was made just now, from here, the way that all reads from here go. */
export interface RouteTaken {
  /** Proxies and nodes that had it in hand, the coordinator last; empty when none answered. */
  readonly route: readonly string[]
  readonly answered: readonly string[]
  readonly guarantee: string | null
  readonly problem: string | null
}

export function explainLines(found: Explanation, key: string, style: Style, taken?: RouteTaken): string[] {
  const { partition } = found
  const arrow = style.dim('→')
  return [
    `${style.bold(`${found.table} / ${key}`)}`,
    '',
    ...(found.token === undefined
      ? []
      : [`  hash       ${found.partitionKeyHash} ${arrow} token ${style.bold(wholeNumber(found.token))}`]),
    `  partition  ${style.bold(String(partition.id))} ${style.dim(`${tokensText(partition)}map version ${partition.mapVersion}`)}${partition.moving === undefined ? '' : style.yellow(`, moving: ${partition.moving}`)}`,
    ...(found.token === undefined ? [] : [`  ring       ${ruler(found, style)}`]),
    `  homes      ${style.cyan(found.homes.join(' '))}${found.fallbacks.length === 0 ? '' : style.dim(`, then ${found.fallbacks.join(' ')}`)}`,
    ...(taken === undefined ? [] : [`  route      ${routeText(taken, style)}`]),
    '',
    ...(found.parts === undefined ? replicaLines(found, style) : partLines(found.parts, style)),
    '',
    `  ${answerLine(found, style)}`,
    ...found.why.map(reason => style.dim(`    because ${reason}`)),
    ...(found.merged.values.length === 0
      ? []
      : [
          `  context ${found.merged.context}`,
          style.dim('          put --context with it replaces what is shown here'),
        ]),
  ]
}

function routeText({ route, answered, problem }: RouteTaken, style: Style): string {
  if (problem !== null) return style.yellow(`a read from here fails: ${problem}`)
  const asked = answered.filter(node => node !== route.at(-1))
  const homes = asked.length === 0 ? '' : style.dim(`, which asked ${asked.join(' ')}`)
  return `this client ${style.dim('→')} ${route.join(` ${style.dim('→')} `)}${homes}`
}

/** `2026-11-22 19:03:01.190 UTC`, and which of several writes of one millisecond it was. */
export function writtenAt({ at, counter }: Explanation['replicas'][number]['versions'][number]): string {
  const time = `${at.slice(0, 10)} ${at.slice(11, -1)} UTC`
  return counter === 0 ? time : `${time} (number ${counter + 1} in its millisecond)`
}

function tokensText({ start, end }: Explanation['partition']): string {
  if (start === undefined || end === undefined) return ''
  return `tokens ${wholeNumber(start)} to ${wholeNumber(end - 1)}, `
}

function ruler({ token = 0, partition: { start = 0, end = 0 } }: Explanation, style: Style): string {
  const at = (position: number): number => Math.min(RULER - 1, Math.floor((position / 2 ** 32) * RULER))
  const marks = Array.from({ length: RULER }, (_, i) => {
    if (i === at(token)) return style.green('◆')
    return i >= at(start) && i <= at(end - 1) ? style.cyan('━') : style.dim('─')
  })
  return `0 ${marks.join('')} 2³²`
}

/** Of a row whose writes are split: each part in a line, its homes as they answer. */
function partLines(parts: NonNullable<Explanation['parts']>, style: Style): string[] {
  const width = String(parts.length - 1).length
  return parts.map(({ part, partition, replicas, values }) => {
    const homes = replicas.filter(({ role }) => role === 'home')
    const isSame = new Set(homes.map(({ digest }) => digest)).size <= 1
    const marks = homes.map(({ node, state }) =>
      state === 'has it' || state === 'deleted' || state === 'has nothing'
        ? style.cyan(node)
        : style.red(`${node} (${state})`),
    )
    const hints = replicas.filter(({ role }) => role === 'fallback')
    const kept = hints.map(({ node, hintsFor }) =>
      style.yellow(`, ${node} keeps it for ${hintsFor.join(' ')}`),
    )
    const count = values === 1 ? '1 value' : `${values} values`
    return `  part ${String(part).padStart(width)}  partition ${partition.id}, ${marks.join(' ')}: ${count}${isSame ? '' : style.yellow(', which differ')}${kept.join('')}`
  })
}

function replicaLines({ replicas }: Explanation, style: Style): string[] {
  const width = Math.max(...replicas.map(replica => textWidth(replica.node)))
  const digests = new Set(
    replicas.filter(r => r.role === 'home' && r.digest !== undefined).map(r => r.digest),
  )
  return replicas.flatMap(replica => {
    const good = replica.state === 'has it' || replica.state === 'deleted'
    const mark = good ? style.green('●') : replica.state === 'has nothing' ? style.dim('○') : style.red('✗')
    const cell = replica.digest === undefined ? '' : style.dim(` cell ${replica.digest.slice(0, 8)}`)
    const role =
      replica.role === 'home' ? '' : style.yellow(` fallback, keeps it for ${replica.hintsFor.join(', ')}`)
    const differs = digests.size > 1 && replica.digest !== undefined ? style.yellow(' differs') : ''
    const suspected = replica.suspected ? style.red(' (suspected down)') : ''
    return [
      `  ${mark} ${padEnd(style.bold(replica.node), width)}  ${replica.state}${cell}${differs}${role}${suspected}`,
      ...replica.versions.map(version =>
        style.dim(
          `    ${' '.repeat(width)}version ${version.dot}  written ${writtenAt(version)}  operation ${version.operation}`,
        ),
      ),
    ]
  })
}

function answerLine({ merged }: Explanation, style: Style): string {
  const { values, conflict } = merged
  if (values.length === 0) return `${style.bold('answer')}  nothing`
  if (!conflict) return `${style.bold('answer')}  ${style.green(JSON.stringify(values[0]))}`
  return [
    `${style.bold('answer')}  ${style.yellow(`${values.length} siblings`)}`,
    ...values.map(value => `          ${JSON.stringify(value)}`),
  ].join('\n')
}
