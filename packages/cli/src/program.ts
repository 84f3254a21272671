/** The command line: names, options, help. What a command does is loaded only when it runs. */

import { Command, Option } from 'commander'
import { integer } from './arguments.ts'
import type { ExitCode } from './exit-codes.ts'

export interface ProgramResult {
  exitCode: ExitCode
}

export function buildProgram(result: ProgramResult): Command {
  const program = new Command('quorate')
    .description('A replicated, partitioned database whose every reply says what it guarantees')
    .version('0.1.0')
    .showHelpAfterError('(quorate --help lists what there is)')
    .exitOverride()
  addDemo(program, result)
  return program
}

function addDemo(program: Command, result: ProgramResult): void {
  program
    .command('demo')
    .description(
      'three nodes, a real data set, a node killed in mid-import, and the proof that nothing is lost',
    )
    .option('--nodes <count>', 'how many nodes', integer('--nodes'), 3)
    .option('--exit', 'end when everything is checked, without the prompt')
    .option('--json', 'the last line of stdout is one JSON document (with --exit)')
    .option('--seed <number>', 'decides which node dies, and when', integer('--seed'), 1)
    .option(
      '--http-port <port>',
      'first admin port (default 7480; 0: any that are free)',
      integer('--http-port'),
    )
    .option('--data <directory>', 'keep the data there (default: temporary, removed at the end)')
    .addOption(
      new Option('--rows <count>', 'import only so many rows').argParser(integer('--rows')).hideHelp(),
    )
    .action(async options => {
      const { checkDemoOptions, runDemo } = await import('./demo/demo.ts')
      const { processTerminal } = await import('./output/terminal.ts')
      const given = {
        exit: false,
        json: false,
        httpPort: undefined,
        data: undefined,
        rows: undefined,
        ...options,
      }
      checkDemoOptions(given)
      result.exitCode = await runDemo(given, processTerminal())
    })
}
