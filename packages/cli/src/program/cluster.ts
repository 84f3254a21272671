/** Commands that change which nodes there are and what they keep, and those about the tasks that follow. */

import { Argument, type Command, Option } from 'commander'
import { byteCount, integer, keyValue, positiveMilliseconds, ratio } from '../arguments.ts'
import { type ProgramResult, talking, withContext } from '../command-context.ts'
import { usageError } from '../command-error.ts'
import type { Change } from '../commands/cluster.ts'

const cluster = () => import('../commands/cluster.ts')
const tasks = () => import('../commands/tasks.ts')

export function addClusterCommands(program: Command, result: ProgramResult): void {
  const parent = program
    .command('cluster')
    .description('grow, shrink and rebalance: what moves data is staged, planned, committed')
  talking(parent.command('status'))
    .description('members and what is staged')
    .action(options =>
      withContext(options, result, async context => (await cluster()).clusterStatus(context)),
    )
  addNodeChanges(parent, result)
  addPartitionChanges(parent, result)
  addPlanning(parent, result)
  addLeaders(parent, program, result)
  addTasks(program, result)
}

/** A command that stages what `change` makes of its arguments. */
function staging(command: Command, result: ProgramResult, change: (...args: string[]) => Change): Command {
  return talking(command).action((...given: unknown[]) => {
    const self = given.at(-1) as Command
    return withContext(self.opts(), result, async context =>
      (await cluster()).stage(context, { ...change(...(self.args as string[])), ...extras(self) }),
    )
  })
}

/** Options that are fields of the change. */
function extras(command: Command): Record<string, unknown> {
  const { by, from, to, at } = command.opts()
  return Object.fromEntries(Object.entries({ by, from, to, at }).filter(([, value]) => value !== undefined))
}

const weight = (text: string | undefined): number => {
  const value = Number(text)
  if (!(value > 0)) throw usageError(`WEIGHT is a number above 0 and at most 64, not "${text}"`)
  return value
}

function addNodeChanges(parent: Command, result: ProgramResult): void {
  staging(parent.command('join').argument('<node>'), result, (node = '') => ({
    kind: 'join',
    node,
  })).description('stages that a node which was started with --join becomes an active member')
  staging(parent.command('leave').argument('<node>'), result, (node = '') => ({
    kind: 'leave',
    node,
  })).description('stages that a live node hands over what it has and leaves')
  staging(
    parent
      .command('replace')
      .argument('<dead>')
      .option('--by <node>', 'a node that was started with --join; without one the others take over'),
    result,
    (dead = '') => ({ kind: 'replace', dead }),
  ).description('stages that a node which is gone for good is replaced; its rows come from its peers')
  talking(parent.command('give-up').argument('<dead>'))
    .description('removes a member that will not come back, at once, also while a task waits for it')
    .option('--yes', 'without asking for its name to be typed')
    .action((node, options) =>
      withContext(options, result, async context => (await cluster()).giveUp(context, node, options)),
    )
  staging(parent.command('reweigh').argument('<node>').argument('<weight>'), result, (node = '', text) => ({
    kind: 'reweigh',
    node,
    weight: weight(text),
  })).description('stages another share of the data for a node, relative to the others')
}

function addPartitionChanges(parent: Command, result: ProgramResult): void {
  const number = integer('PARTITION')
  staging(
    parent
      .command('move')
      .argument('<table>')
      .argument('<partition>')
      .requiredOption('--from <node>', 'who has the copy')
      .requiredOption('--to <node>', 'who gets it'),
    result,
    (table = '', partition = '') => ({ kind: 'move', table, partition: number(partition) }),
  ).description('stages that one copy of a partition goes to another node')
  staging(
    parent
      .command('split')
      .argument('<table>')
      .requiredOption('--at <key or token>', 'where the new partition starts', keyValue),
    result,
    (table = '') => ({ kind: 'split', table }),
  ).description('stages a cut: at a partition key of a range table, at a token of the others')
  staging(
    parent.command('merge').argument('<table>').argument('<partition>'),
    result,
    (table = '', partition = '') => ({ kind: 'merge', table, partition: number(partition) }),
  ).description('stages that a partition is joined to the one before it')
  staging(parent.command('rebalance'), result, () => ({ kind: 'rebalance' })).description(
    'stages that partitions go where their partitioner would put them now',
  )
}

function addPlanning(parent: Command, result: ProgramResult): void {
  talking(parent.command('plan'))
    .description(
      'what committing the staged changes would do; exit code 11 when there is something to commit, 6 when it cannot be carried out',
    )
    .action(options => withContext(options, result, async context => (await cluster()).showPlan(context)))
  talking(parent.command('commit').argument('<plan>', 'its id: the approval'))
    .description('carries out a plan as a task; refused when the cluster has changed since it was shown')
    .option('--limit <bytes>', 'what each receiver takes at most per second: 10MiB', byteCount('--limit'))
    .option('--detach', 'do not wait for the task')
    .action((plan, options) =>
      withContext(options, result, async context => (await cluster()).commit(context, plan, options)),
    )
  talking(parent.command('auto').addArgument(new Argument('[verb]').choices(['on', 'off'])))
    .description(
      'allows the cluster to balance itself, or no more; without on or off shows how that stands. Plans are made only for uneven members, never for one that does not answer',
    )
    .addOption(new Option('--by <measure>', 'what is to be even (default: bytes)').choices(['bytes', 'load']))
    .option(
      '--above <ratio>',
      'a plan is made past this: greatest over mean (default: 1.25)',
      ratio('--above'),
    )
    .option('--below <ratio>', 'and another only after this was reached (default: 1.1)', ratio('--below'))
    .option(
      '--every <duration>',
      'at most one plan in so long (default: 1h)',
      positiveMilliseconds('--every'),
    )
    .option('--max-bytes <bytes>', 'what one plan may move (default: 10GiB)', byteCount('--max-bytes'))
    .action((verb, options) =>
      withContext(options, result, async context =>
        (await import('../commands/auto.ts')).clusterAuto(context, verb, options),
      ),
    )
  talking(parent.command('clear'))
    .description('forgets what is staged')
    .action(options => withContext(options, result, async context => (await cluster()).clear(context)))
  talking(parent.command('history'))
    .description('what was done, how long it took, and the commands that lead back')
    .action(options => withContext(options, result, async context => (await cluster()).history(context)))
}

function addTasks(program: Command, result: ProgramResult): void {
  const parent = program.command('task').description('committed plans on their way')
  talking(parent.command('ls'))
    .description('the task that runs, and those that are over')
    .action(options => withContext(options, result, async context => (await tasks()).listTasks(context)))
  talking(parent.command('show').argument('[task]'))
    .description(
      'the stage of each partition (queued → prepare → write-both → stream → verify → read-new → new-only), and what it waits for',
    )
    .action((task, options) =>
      withContext(options, result, async context => (await tasks()).showTask(context, task)),
    )
  talking(parent.command('wait').argument('[task]'))
    .description('until the task is over; exit code 123 when it was cancelled')
    .action((task, options) =>
      withContext(options, result, async context => (await tasks()).waitForTask(context, task)),
    )
  const verbs = {
    pause: 'stops it where it is; everything stays readable and writable',
    resume: 'lets a paused task go on',
    cancel: 'rolls back what has not been switched; what has been switched is finished',
  } as const
  for (const verb of ['pause', 'resume', 'cancel'] as const)
    talking(parent.command(verb).argument('[task]'))
      .description(verbs[verb])
      .action((task, options) =>
        withContext(options, result, async context => (await tasks()).changeTask(context, verb, task)),
      )
}

function addLeaders(parent: Command, program: Command, result: ProgramResult): void {
  const leaders = () => import('../commands/leaders.ts')
  const number = integer('PARTITION')
  talking(parent.command('move-leader').argument('<table>').argument('<partition>').argument('<node>'))
    .description('planned hand-over: another replica leads the partition, with nothing lost, in milliseconds')
    .action((table, partition, node, options) =>
      withContext(options, result, async context =>
        (await leaders()).moveLeader(context, table, number(partition), node),
      ),
    )
  talking(parent.command('spread-leaders'))
    .description('hand-overs until no node leads many more partitions than another; cluster plan proposes it')
    .option('--dry-run', 'shows them only')
    .action(options =>
      withContext(options, result, async context =>
        (await leaders()).spreadLeaders(context, options.dryRun === true),
      ),
    )
  talking(parent.command('elect').argument('<table>'))
    .description('unclean elections of partitions that cannot have a clean one: shows what each may lose')
    .option('--commit <plan>', 'carries out the plan that was shown')
    .option('--yes', 'without asking for the name of the table to be typed')
    .action((table, options) =>
      withContext(options, result, async context => (await leaders()).elect(context, table, options)),
    )
  talking(program.command('lag').argument('[table]'))
    .option('--behind', 'only partitions of which a follower is behind or does not answer')
    .description('who leads each partition, and how far its followers are behind, in words')
    .action((table, options) =>
      withContext(options, result, async context =>
        (await leaders()).lag(context, table, options.behind === true),
      ),
    )
}
