/**
 * `quorate demo`: three nodes as processes, a real data set, a node killed in mid-import, restarted, healed,
 * and everything checked. Then a prompt to play with it, until Ctrl-C, which leaves nothing behind.
 */

import { connect, table } from '@quorate/client'
import { CommandError } from '../command-error.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import { Progress } from '../output/progress.ts'
import type { Terminal } from '../output/terminal.ts'
import { count, wholeNumber } from '../output/words.ts'
import { LocalCluster, type LocalNode } from '../server/local-cluster.ts'
import { type City, famousCity, loadCities } from './cities.ts'
import { converge } from './converge.ts'
import { type ImportPlan, importCities } from './import-cities.ts'
import { runPrompt } from './prompt.ts'
import { type DemoFindings, demoDocument, isProven, summaryLines } from './summary.ts'
import { verifyCities } from './verify-cities.ts'

export interface DemoOptions {
  readonly nodes: number
  readonly exit: boolean
  readonly json: boolean
  readonly seed: number
  readonly httpPort: number | undefined
  readonly data: string | undefined
  /** Only the first so many rows. */
  readonly rows: number | undefined
}

const cities = table<City>('cities', { key: 'id' })

export async function runDemo(options: DemoOptions, terminal: Terminal): Promise<ExitCode> {
  const lost: string[] = []
  const cluster = await LocalCluster.prepare({
    nodes: options.nodes,
    httpPort: options.httpPort,
    directory: options.data,
    onLost: (node: LocalNode, why: string) => {
      lost.push(`${node.id} ended by itself: ${why}`)
      terminal.error.write(`${terminal.error.style.red('!')} ${lost.at(-1)}\n`)
    },
  })
  const interrupted = endOnSignal(cluster, terminal)
  try {
    const { findings, proven } = await showAndProve(options, cluster, lost, terminal)
    const lines = summaryLines(findings, options.json ? terminal.error.style : terminal.out.style)
    ;(options.json ? terminal.error : terminal.out).write(`${lines.join('\n')}\n`)
    if (!options.exit) await runPrompt(cluster, terminal, famousCity(loadCities(options.rows)).id)
    await cluster.close()
    if (options.json) terminal.out.write(`${JSON.stringify(demoDocument(findings))}\n`)
    return proven ? exitCodes.ok : exitCodes.unhealthy
  } catch (error) {
    await cluster.close()
    // Nodes that end under our feet make requests fail: the signal is the reason, not those.
    if (interrupted.signal) return exitCodes.interrupted
    throw error
  }
}

async function showAndProve(
  options: DemoOptions,
  cluster: LocalCluster,
  lost: readonly string[],
  terminal: Terminal,
): Promise<{ findings: DemoFindings; proven: boolean }> {
  const { style } = terminal.error
  const say = (text: string): void => terminal.error.write(`${text}\n`)
  const began = performance.now()
  const all = loadCities(options.rows)
  const plan = planFor(options, all.length)
  await cluster.startAll()
  const db = await connect(cluster.connectString, { tables: { cities }, timeoutMs: 30_000 })
  try {
    await db.createTable(
      'cities',
      {
        key: { partition: 'id' },
        replication: { kind: 'leaderless', n: Math.min(3, options.nodes), r: 2, w: 2 },
        conflict: { kind: 'siblings' },
      },
      { timeoutMs: 30_000 },
    )
    say(
      style.bold(
        `Quorate demo: ${options.nodes} nodes on this machine, each a process with a disk of its own`,
      ),
    )
    for (const node of cluster.nodes)
      say(
        `  ${style.cyan(node.id)}  data ${node.address}  admin http://${node.http}  pid ${node.process?.pid ?? '-'}`,
      )
    say(
      `  table cities: N=3 replicas, W=2 must have it on disk, R=2 are read; ring, siblings (seed ${options.seed})\n`,
    )
    const imported = await importWithDeath(db.cities, all, cluster, plan, terminal)
    const healing = new Progress(terminal.error, 'heal   ', 'pairs', undefined)
    const healed = await converge(cluster, 'cities', healing)
    healing.end(
      `  ${style.green('✔')} healed in ${healed.seconds.toFixed(1)} s: ${count(healed.hintsReplayed, 'hint')} replayed, ${healed.proven}/${healed.pairs} replica pairs proven equal`,
    )
    const checking = new Progress(terminal.error, 'verify ', 'rows', all.length)
    const verified = await verifyCities(db.cities, all, cluster, checking)
    checking.end(
      `  ${verified.missing + verified.divergentKeys === 0 ? style.green('✔') : style.red('✘')} verified in ${verified.seconds.toFixed(1)} s: ${wholeNumber(all.length)} rows read back, ${verified.missing} missing, ${verified.divergentKeys} divergent`,
    )
    const seconds = (performance.now() - began) / 1000
    const findings = {
      rows: all.length,
      nodes: options.nodes,
      seed: options.seed,
      seconds,
      plan,
      imported,
      healed,
      verified,
      lost,
    }
    return { findings, proven: isProven(demoDocument(findings)) }
  } finally {
    await db.close()
  }
}

async function importWithDeath(
  client: Parameters<typeof importCities>[0],
  all: readonly City[],
  cluster: LocalCluster,
  plan: ImportPlan,
  terminal: Terminal,
) {
  const { style } = terminal.error
  const progress = new Progress(terminal.error, 'import ', 'rows', all.length)
  const imported = await importCities(client, all, cluster, plan, progress, {
    onKilled: report =>
      progress.say(
        `  ${style.red('✗')} ${plan.victim} killed with SIGKILL after ${wholeNumber(report.killedAtRows)} rows; the import goes on`,
      ),
    onRestarting: report =>
      progress.say(
        `  ${style.green('↻')} ${plan.victim} restarts; ${wholeNumber(report.rowsWhileDown)} rows were acknowledged without it`,
      ),
  })
  progress.end(
    `  ${style.green('✔')} imported in ${imported.seconds.toFixed(1)} s: ${wholeNumber(imported.acknowledged)} rows acknowledged`,
  )
  return imported
}

/** The seed decides who dies and when. */
function planFor(options: DemoOptions, rows: number): ImportPlan {
  const chance = (salt: number): number => {
    const x = Math.sin(options.seed * 12.9898 + salt * 78.233) * 43758.5453
    return x - Math.floor(x)
  }
  return {
    victim: `n${1 + Math.floor(chance(1) * options.nodes)}`,
    killAtRow: Math.floor(rows * (0.3 + 0.15 * chance(2))),
    restartAtRow: Math.floor(rows * (0.65 + 0.1 * chance(3))),
  }
}

/** Ctrl-C and friends: end the nodes, remove what is temporary, go. */
function endOnSignal(cluster: LocalCluster, terminal: Terminal): { signal: boolean } {
  const state = { signal: false }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      if (state.signal) return
      state.signal = true
      terminal.error.write(`\n${terminal.error.style.dim('stopping the nodes …')}\n`)
      cluster.close().then(
        () => process.exit(exitCodes.interrupted),
        (error: unknown) => {
          terminal.error.write(
            `cleaning up failed: ${error instanceof Error ? error.message : String(error)}\n`,
          )
          process.exit(exitCodes.unexpected)
        },
      )
    })
  }
  return state
}

export function checkDemoOptions(options: DemoOptions): void {
  if (options.nodes < 3 || options.nodes > 9)
    throw new CommandError(exitCodes.usage, `--nodes is from 3 to 9, not ${options.nodes}`)
  if (options.json && !options.exit)
    throw new CommandError(exitCodes.usage, '--json prints its document at the end: it goes with --exit', {
      next: 'quorate demo --exit --json',
    })
}
