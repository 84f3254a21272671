/** What every talking command is given, and how it ends. */

import type { Command } from 'commander'
import { Option } from 'commander'
import { ClusterAccess } from './cluster-access.ts'
import { type ExitCode, exitCodes } from './exit-codes.ts'
import { Output, type OutputFormat } from './output/output.ts'
import { processTerminal } from './output/terminal.ts'

export interface CommandContext {
  readonly access: ClusterAccess
  readonly output: Output
  /** The command line, from the first word after `quorate`. */
  readonly words: readonly string[]
}

export interface ProgramResult {
  exitCode: ExitCode
}

interface TalkingOptions {
  readonly connect?: string
  readonly http?: string
  readonly output?: OutputFormat
  readonly json?: boolean
}

export function outputOptions(command: Command): Command {
  return command
    .addOption(
      new Option('-o, --output <format>', 'table for a terminal, tsv for a pipe, or').choices([
        'json',
        'table',
        'tsv',
      ]),
    )
    .option('--json', 'the same as -o json')
}

/** The options of commands that talk to a cluster. */
export function talking(command: Command): Command {
  return outputOptions(command)
    .option('--connect <url>', 'data ports: quorate://host:port,host:port (or QUORATE_CONNECT)')
    .option('--http <address>', 'admin port of any node: host:port (or QUORATE_HTTP; default 127.0.0.1:7480)')
}

export function outputOf(options: TalkingOptions): Output {
  return new Output(processTerminal(), options.json === true ? 'json' : (options.output ?? 'auto'))
}

/** Runs a command against a cluster and closes what it opened. */
export async function withContext(
  options: TalkingOptions,
  result: ProgramResult,
  run: (context: CommandContext) => Promise<ExitCode | undefined>,
): Promise<void> {
  const access = new ClusterAccess(options)
  try {
    const words = process.argv.slice(2)
    result.exitCode = (await run({ access, output: outputOf(options), words })) ?? exitCodes.ok
  } finally {
    await access.close()
  }
}
