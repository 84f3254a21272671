/** The command line: names, options, help. What a command does is loaded only when it runs. */

import { Command } from 'commander'
import type { ProgramResult } from './command-context.ts'
import { addClusterCommands } from './program/cluster.ts'
import { addDataCommands } from './program/data.ts'
import { addNodeCommands } from './program/nodes.ts'
import { addOperations } from './program/operations.ts'
import { addLab, addPlans } from './program/plans.ts'

export function buildProgram(result: ProgramResult): Command {
  const program = new Command('quorate')
    // An option behind the name of a command is that command's, also where the one above it knows it.
    .enablePositionalOptions()
    .description('A replicated, partitioned database whose every reply says what it guarantees')
    .version('0.1.0')
    .configureHelp({ sortSubcommands: false })
    .addHelpText(
      'after',
      `
A terminal gets a table, a pipe gets TSV, --json gives one document. Keys are
taken as JSON when they are a number, true, false, null or a quoted text, else
as text.

Try it:  quorate demo
         quorate status
         quorate explain get cities FR-48105

In a checkout: npx quorate …`,
    )
    .showHelpAfterError('(quorate help COMMAND shows how it is used)')
    .exitOverride()
  program.commandsGroup('Nodes:')
  addNodeCommands(program, result)
  program.commandsGroup('Tables and rows:')
  addDataCommands(program, result)
  program.commandsGroup('Without a cluster:')
  addPlans(program, result)
  addLab(program, result)
  program.commandsGroup('Looking and mending:')
  addOperations(program, result)
  program.commandsGroup('Members and movement:')
  addClusterCommands(program, result)
  return program
}
