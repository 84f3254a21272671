/** Commands that look at a cluster, and those that put it right or under load. */

import { type Command, Option } from 'commander'
import { integer, keyValue, milliseconds, positiveMilliseconds } from '../arguments.ts'
import { outputOf, outputOptions, type ProgramResult, talking, withContext } from '../command-context.ts'

export function addOperations(program: Command, result: ProgramResult): void {
  addInsight(program, result)
  addMaintenance(program, result)
  addWorkload(program, result)
  outputOptions(program.command('exit-codes'))
    .description('what the exit codes mean')
    .action(async options => (await import('../commands/exit-codes.ts')).listExitCodes(outputOf(options)))
}

function addInsight(program: Command, result: ProgramResult): void {
  const insight = () => import('../commands/insight.ts')
  talking(program.command('status'))
    .description(
      'every node: state, rows, hints, what is proven equal; exit code 9 when a node could not be asked, 10 when one failed or proofs are overdue',
    )
    .action(options => withContext(options, result, async context => (await insight()).status(context)))
  talking(program.command('health'))
    .description(
      'is everything as it should be? exit code 10 when not, 9 when that could not be found out; proofs are overdue after ten sweep intervals (5 min by default)',
    )
    .action(options => withContext(options, result, async context => (await insight()).health(context)))
  talking(program.command('ring').argument('[table]'))
    .description('partitions and their homes')
    .action((table, options) =>
      withContext(options, result, async context => (await insight()).ring(context, table)),
    )
  const explain = program.command('explain').description('why an answer is what it is')
  talking(explain.command('get').argument('<table>').argument('<key>').argument('[sort]'))
    .description('hash, token, partition, replicas, versions on each, and why this answer')
    .action((table, key, sort, options) =>
      withContext(options, result, async context => (await insight()).explain(context, table, key, sort)),
    )
  talking(program.command('hot').argument('[table]'))
    .description('the busiest partitions, by which keys and in what way, and what helps')
    .option('--limit <count>', 'partitions at most', integer('--limit'), 20)
    .action((table, options) =>
      withContext(options, result, async context =>
        (await import('../commands/hot.ts')).hot(context, table, { limit: options.limit }),
      ),
    )
  const commands = () => import('../commands/ledger.ts')
  const ledger = program.command('ledger').argument('[table]')
  talking(ledger)
    .description(
      'writes that a conflict rule discarded, or that a leader had alone when another was elected, with their values, from all nodes',
    )
    .option('--since <duration>', 'only the last 1h, 30m, …', milliseconds('--since'))
    .option('--limit <count>', 'entries at most', integer('--limit'), 100)
    .addOption(
      new Option('--reason <reason>', 'only these').choices([
        'concurrent-loser',
        'expired-hint',
        'cut-unacknowledged',
        'cut-possibly-acknowledged',
      ]),
    )
    .option('--key <key>', 'only of rows with this partition key', keyValue)
    .option('--count', 'how many for each table and hour, and not which')
    .action((table, options) =>
      withContext(options, result, async context =>
        (await commands()).ledger(context, table, {
          sinceMs: options.since,
          limit: options.limit,
          reason: options.reason,
          key: options.key,
          count: options.count === true,
        }),
      ),
    )
  talking(ledger.command('restore').argument('<id>'))
    .description('writes what was discarded to its row once more; each entry only once')
    .option('--force', 'also where it may be done twice, or in the place of something newer')
    .action((id, options) =>
      withContext(options, result, async context =>
        (await commands()).restore(context, id, options.force === true),
      ),
    )
}

function addMaintenance(program: Command, result: ProgramResult): void {
  const maintenance = () => import('../commands/maintenance.ts')
  talking(program.command('verify').argument('[table]'))
    .description('compares the replicas row by row, read-only; exit code 10 when they differ')
    .action((table, options) =>
      withContext(options, result, async context => (await maintenance()).verify(context, table)),
    )
  talking(program.command('repair').argument('[table]'))
    .description('sweeps: every node compares hash trees with its peers and repairs what differs')
    .action((table, options) =>
      withContext(options, result, async context => (await maintenance()).repair(context, table)),
    )
}

function addWorkload(program: Command, result: ProgramResult): void {
  const workload = program.command('workload').description('puts a cluster under load')
  talking(
    workload
      .command('run')
      .addArgument(
        workload
          .createArgument(
            '<kind>',
            'YCSB a–f, or set: unique elements, each acknowledged one must be read back',
          )
          .choices(['a', 'b', 'c', 'd', 'e', 'f', 'set']),
      ),
  )
    .description('runs a mix of requests and measures it')
    .option('--rate <count>', 'operations per second (default: as fast as it goes)', integer('--rate'))
    .option(
      '--duration <duration>',
      'how long, as 30s or 5m; a number alone is milliseconds',
      positiveMilliseconds('--duration'),
      10_000,
    )
    .option('--concurrency <count>', 'requests in flight', integer('--concurrency'), 32)
    .option('--rows <count>', 'rows that are loaded first (a–f)', integer('--rows'), 1_000)
    .option('--check', 'set: read every acknowledged element back; exit code 10 when one is missing')
    .addOption(new Option('--table <name>', 'made when it does not exist').default('workload'))
    .action((kind, options) =>
      withContext(options, result, async context =>
        (await import('../commands/workload.ts')).runWorkload(context, kind, options),
      ),
    )
}
