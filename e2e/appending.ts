/** Clients that append in a process of their own, and the judgement of what they were told. */

import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import {
  checkEpochs,
  checkLists,
  type ListAppend,
  ListHistory,
  type ListRead,
  type Violation,
} from '@quorate/sim'
import { keep, until } from './harness.ts'

const CLIENTS = 20
export const LISTS = 8
const PROGRAM = fileURLToPath(new URL('append-clients.mjs', import.meta.url))
const HEAD = /^\{"acknowledged":/

interface Outcome {
  readonly history: ListHistory
  readonly final: ReadonlyMap<string, readonly string[]>
}

export class Appending {
  #acknowledged = 0
  #last = ''
  readonly #child: ChildProcess
  readonly #gone: Promise<number | null>

  constructor(connectString: string, wrap: readonly string[] = []) {
    const [command, ...args] = [...wrap, process.execPath, PROGRAM]
    this.#child = keep(
      spawn(command!, [...args, connectString, String(CLIENTS), String(LISTS)], {
        stdio: ['pipe', 'pipe', 'inherit'],
      }),
    )
    this.#gone = new Promise(resolve => this.#child.once('close', resolve))
    createInterface({ input: this.#child.stdout! }).on('line', line => {
      if (HEAD.test(line)) this.#acknowledged = JSON.parse(line).acknowledged
      else this.#last = line
    })
  }

  async goesOn(what: string): Promise<void> {
    const before = this.#acknowledged
    await until(`appends go on while ${what}`, async () => this.#acknowledged > before + 200)
  }

  async stop(): Promise<Outcome> {
    this.#child.stdin!.end()
    await this.#gone
    const { history, final } = JSON.parse(this.#last) as {
      history: { appends: ListAppend[]; reads: ListRead[] }
      final: [string, string[]][]
    }
    const whole = new ListHistory()
    whole.appends.push(...history.appends)
    whole.reads.push(...history.reads)
    return { history: whole, final: new Map(final) }
  }

  /** Whatever the test came to. */
  async end(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill('SIGKILL')
    await this.#gone
  }
}

/** Linearizable, with nothing lost; or, where an election was unclean, with all that was lost in the ledger. */
export function judge(
  { history, final }: Outcome,
  ledger: ReadonlySet<string>,
  isWhole: boolean,
): Violation[] {
  const lists = checkLists({ history, final, ledger, isWhole, clocksApartMs: 0 })
  // Names of partitions are not known here: an epoch of the same number may have a leader in each.
  return isWhole ? [...lists, ...checkEpochs(history, row => row)] : lists
}
