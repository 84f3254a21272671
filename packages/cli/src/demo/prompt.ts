/** The demo's prompt: kill nodes, write, read, look. Until Ctrl-C, Ctrl-D or `quit`. */

import { createInterface } from 'node:readline'
import { ClusterAccess } from '../cluster-access.ts'
import type { CommandContext } from '../command-context.ts'
import { CommandError, describeFailure, usageError } from '../command-error.ts'
import * as insight from '../commands/insight.ts'
import * as maintenance from '../commands/maintenance.ts'
import * as rows from '../commands/rows.ts'
import { exitCodes } from '../exit-codes.ts'
import { Output } from '../output/output.ts'
import type { Style } from '../output/style.ts'
import type { Terminal } from '../output/terminal.ts'
import type { LocalCluster } from '../server/local-cluster.ts'

interface PromptCommand {
  readonly usage: string
  readonly meaning: string
  readonly run: (words: readonly string[], rest: string, prompt: Prompt) => Promise<unknown>
}

interface Prompt {
  readonly cluster: LocalCluster
  readonly terminal: Terminal
  /** `words`: the same as a command line of its own, in another terminal. */
  context(words?: readonly string[]): CommandContext
}

const one = (words: readonly string[], usage: string): string => {
  if (words[0] === undefined) throw usageError(`usage: ${usage}`)
  return words[0]
}

const COMMANDS: Readonly<Record<string, PromptCommand>> = {
  status: {
    usage: 'status',
    meaning: 'all nodes: state, rows, hints',
    run: (_, __, prompt) => insight.status(prompt.context()),
  },
  get: {
    usage: 'get ID',
    meaning: 'read a city at R=2',
    run: (words, _, prompt) => {
      const id = one(words, 'get ID')
      return rows.get(prompt.context(['get', 'cities', id]), 'cities', [id], {})
    },
  },
  put: {
    usage: 'put {"id": …}',
    meaning: 'write a row; without a context it becomes a sibling of what is there',
    run: (_, rest, prompt) => {
      if (rest === '') throw usageError('usage: put {"id": "XX-1", "name": "Atlantis"}')
      return rows.put(prompt.context(['put', 'cities', rest]), 'cities', rest, {})
    },
  },
  explain: {
    usage: 'explain ID',
    meaning: 'hash, token, partition, replicas, versions, and why a read answers what it answers',
    run: (words, _, prompt) =>
      insight.explain(prompt.context(), 'cities', one(words, 'explain ID'), undefined),
  },
  kill: {
    usage: 'kill n2',
    meaning: 'SIGKILL a node',
    async run(words, _, { cluster, terminal }) {
      const { id } = cluster.node(one(words, 'kill n2'))
      if (cluster.node(id).process === undefined) throw usageError(`${id} is down already`)
      await cluster.kill(id)
      terminal.out.write(
        `${terminal.out.style.red('✗')} ${id} is dead. Its peers keep hints for it: try put, get, status\n`,
      )
    },
  },
  restart: {
    usage: 'restart n2',
    meaning: 'start a dead node again; hints and sweeps bring it up to date',
    async run(words, _, { cluster, terminal }) {
      const { id } = cluster.node(one(words, 'restart n2'))
      await cluster.start(id)
      terminal.out.write(`${terminal.out.style.green('↻')} ${id} is back\n`)
    },
  },
  verify: {
    usage: 'verify',
    meaning: 'compare all replicas row by row',
    run: (_, __, prompt) => maintenance.verify(prompt.context(), 'cities'),
  },
}

function helpLines(style: Style, example: string): string[] {
  const width = Math.max(...Object.values(COMMANDS).map(({ usage }) => usage.length)) + 2
  return [
    ...Object.values(COMMANDS).map(
      ({ usage, meaning }) => `  ${style.bold(usage.padEnd(width))}${style.dim(meaning)}`,
    ),
    `  ${style.bold('quit'.padEnd(width))}${style.dim('end everything (or Ctrl-C)')}`,
    style.dim(`  for example: kill n2 · explain ${example} · get ${example} · restart n2`),
  ]
}

export async function runPrompt(cluster: LocalCluster, terminal: Terminal, example: string): Promise<void> {
  const { style } = terminal.out
  const opened: ClusterAccess[] = []
  let access: ClusterAccess | undefined
  const prompt: Prompt = {
    cluster,
    terminal,
    context(words = []) {
      const alive = cluster.nodes.find(node => node.process !== undefined)
      if (alive === undefined)
        throw new CommandError(exitCodes.unreachable, 'all nodes are dead', { next: 'restart n1' })
      // Reads of status go to a node that lives; the data connection finds its own way and is kept.
      access = new ClusterAccess({ http: alive.http }, {})
      opened.push(access)
      return { access, output: new Output(terminal, 'table'), words: [...words, '--http', alive.http] }
    },
  }
  const [first] = cluster.nodes
  const lines = [
    style.bold('The cluster stays up.'),
    `  data   ${style.cyan(cluster.connectString)}`,
    `  admin  ${style.cyan(`http://${first!.http}/api/v1/status`)}`,
    'Type:',
  ]
  terminal.out.write(`${lines.join('\n')}\n`)
  terminal.out.write(`${helpLines(style, example).join('\n')}\n\n`)
  await readLines(terminal, async line => {
    const [name = '', ...words] = line.split(/\s+/)
    if (name === '') return false
    if (name === 'quit' || name === 'exit') return true
    const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
    try {
      if (command === undefined) {
        const unknown = name === 'help' ? [] : [`there is no command "${name}" here; there are:`]
        terminal.out.write(`${[...unknown, ...helpLines(style, example)].join('\n')}\n`)
      } else await command.run(words, line.slice(name.length).trim(), prompt)
    } catch (error) {
      terminal.error.write(`${describeFailure(error, terminal.error.style).join('\n')}\n`)
    } finally {
      for (const done of opened.splice(0)) await done.close()
    }
    return false
  })
}

/** Until `handle` says so, the input ends on a terminal, or a signal ends the process. */
function readLines(terminal: Terminal, handle: (line: string) => Promise<boolean>): Promise<void> {
  return new Promise(resolve => {
    const isTerminal = process.stdin.isTTY === true
    const reader = createInterface({
      input: process.stdin,
      output: isTerminal ? process.stdout : undefined,
      prompt: `${terminal.out.style.bold('quorate')}> `,
    })
    let queue: Promise<boolean> = Promise.resolve(false)
    reader.on('line', line => {
      queue = queue.then(async ended => {
        if (ended) return true
        const quit = await handle(line.trim())
        if (quit) reader.close()
        else if (isTerminal) reader.prompt()
        if (quit) resolve()
        return quit
      })
    })
    // Without a terminal an end of input is no wish to stop: the cluster serves until a signal.
    reader.on('close', () => {
      if (isTerminal) void queue.then(() => resolve())
    })
    // readline takes Ctrl-C for itself; the demo's own handler cleans up.
    reader.on('SIGINT', () => process.kill(process.pid, 'SIGINT'))
    if (isTerminal) reader.prompt()
  })
}
