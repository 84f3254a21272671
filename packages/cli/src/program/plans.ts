/** What needs no cluster: plans computed before anything is done, and the lab. */

import type { Command } from 'commander'
import { integer } from '../arguments.ts'
import { outputOf, outputOptions, type ProgramResult } from '../command-context.ts'

export function addPlans(program: Command, result: ProgramResult): void {
  const plan = program.command('plan').description('what a change would move; nothing is changed')
  outputOptions(plan.command('movement'))
    .description(
      'what each partitioner moves when nodes come or go, how even it is, and who inherits from a dead node; needs no cluster',
    )
    .option('--nodes <count>', 'nodes that are there', integer('--nodes'), 10)
    .option('--add <count>', 'nodes that come (default 1 unless --remove is given)', integer('--add'))
    .option('--remove <count>', 'nodes that go', integer('--remove'), 0)
    .option(
      '--zones <count>',
      'zones that the nodes stand in, in turn (default: one each)',
      integer('--zones'),
    )
    .option(
      '--n <count>',
      'replicas of each partition (default 3, or all nodes when they are fewer)',
      integer('--n'),
    )
    .option('--keys <file>', 'counts real partition keys, one text a line, instead of the token space')
    .option('--tokens <count>', 'allocated tokens of a node on the ring', integer('--tokens'), 16)
    .option('--random-tokens', 'the ring of random tokens only, without the allocated one')
    .option('--partitions <count>', 'partitions of fixed, buckets of modulo', integer('--partitions'), 1024)
    .action(async options => {
      const { planMovement } = await import('../commands/plan-movement.ts')
      result.exitCode = await planMovement(outputOf(options), options)
    })
}

export function addLab(program: Command, result: ProgramResult): void {
  const lab = program
    .command('lab')
    .description('stories of what settings break and what they hold, in simulated time')
  outputOptions(lab.command('list'))
    .description('the stories that there are')
    .action(async options => (await import('../commands/lab.ts')).listLab(outputOf(options)))
  outputOptions(lab.command('run').argument('<name>'))
    .description(
      'plays a story under each of its settings: timeline, then the verdict of its checker; exit code 10 when a setting did not do what it is expected to',
    )
    .option('--seed <count>', 'the same seed, the same timeline', integer('--seed'), 1)
    .option('--setting <label>', 'only this one')
    .action(async (name, options) => {
      const { runLab } = await import('../commands/lab.ts')
      // Also into a pipe it is a text to be read, unless something else is asked for.
      const output = outputOf({ ...options, output: options.output ?? 'table' })
      result.exitCode = await runLab(output, name, options)
    })
}
