/** Commands on tables and rows. */

import { type Command, Option } from 'commander'
import { contextToken, integer, keyValue, level, operation, positiveMilliseconds } from '../arguments.ts'
import { type ProgramResult, talking, withContext } from '../command-context.ts'

export function addDataCommands(program: Command, result: ProgramResult): void {
  addTables(program, result)
  addGet(program, result)
  addRows(program, result)
  addRanges(program, result)
  addTransfer(program, result)
  addChanges(program, result)
}

/** Longest life of a request, as every node has it (`requestTimeoutMaxMs`). */
const REQUEST_MAX_MS = 120_000

const timeout = (command: Command): Command =>
  command.option(
    '--timeout <duration>',
    'for the whole request: 500ms, 10s, up to 2m (default 5s)',
    positiveMilliseconds('--timeout', REQUEST_MAX_MS),
  )

/** Settings of tables with one leader for each partition. */
function withLeaders(command: Command): Command {
  return command
    .option('--single-leader', 'one leader for each partition orders its writes and ships them as a log')
    .addOption(
      new Option(
        '--ack <copies>',
        'with a leader (implies --single-leader): copies before a write is acknowledged: all, in-sync, majority (default), one (semi-synchronous), none (asynchronous)',
      ).choices(['all', 'in-sync', 'majority', 'one', 'none']),
    )
    .option('--min-in-sync <count>', 'ack in-sync: fewer members refuse writes', integer('--min-in-sync'))
    .addOption(
      new Option(
        '--log <kind>',
        'what its log carries: logical (rows before and after; default), physical (bytes of the store), statement (operations)',
      ).choices(['logical', 'physical', 'statement']),
    )
    .addOption(
      new Option('--freeze <how>', 'log statement: are now(), uuid() … worked out by the leader').choices([
        'yes',
        'no',
        'refuse',
      ]),
    )
    .option('--other-zone', 'ack one: the copy is in another zone while a replica there can be reached')
}

function withConflicts(command: Command): Command {
  return command
    .option(
      '--consensus',
      'each row is agreed on by more than half of its replicas: linearizable, conditions with --if, no leader',
    )
    .option(
      '--conflict <rule>',
      'siblings, lww, merge:union, merge:max, merge:longest, merge:NAME of a module that the nodes were started with, or crdt: rows that merge field by field (default siblings)',
    )
    .option(
      '--field <name:type...>',
      'crdt: a field and its type: likes:counter, on:flag, tags:or-set, name:lww, carts:map:or-set',
      (text: string, before: unknown) => [...((before as unknown[] | undefined) ?? []), text],
    )
}

function addTables(program: Command, result: ProgramResult): void {
  const tables = program.command('table').description('create, list and show tables')
  withConflicts(withLeaders(talking(tables.command('create').argument('<name>'))))
    .description('makes a table; the same name with the same settings is success')
    .requiredOption('--key <fields>', 'partition key field, or partition and sort key: sensor,at')
    .addOption(
      new Option(
        '--like <system>',
        'settings of another system, as far as they exist here; flags are stronger',
      ).choices([
        'dynamo',
        'cassandra',
        'riak',
        'hbase',
        'elasticsearch',
        'kafka',
        'postgres',
        'postgres-sync',
        'mysql',
        'mongodb',
      ]),
    )
    .addOption(
      new Option(
        '--partitioning <how>',
        'ring: consistent hashing (default); fixed: equal arcs of the hash; range: in key order; modulo: dealt in turn, a cautionary tale',
      ).choices(['ring', 'fixed', 'range', 'modulo']),
    )
    .option('--partitions <count>', 'fixed: how many (1024; with leaders 64)', integer('--partitions'))
    .option(
      '--split-at <keys...>',
      'partition keys at which the first partitions start, ascending; makes it a range table',
      (text: string, before: unknown) => [...((before as unknown[] | undefined) ?? []), keyValue(text)],
    )
    .option(
      '--split-sample <file>',
      'split points from a file of rows, JSON Lines or CSV; makes it a range table',
    )
    .option(
      '--ranges <count>',
      'range: how many ranges the sample is cut into (default 16)',
      integer('--ranges'),
    )
    .option('--buckets <count>', 'modulo: how many (default 1024)', integer('--buckets'))
    .option('--n <copies>', 'replicas of each row (default 3)', integer('--n'))
    .option('--r <count>', 'answers a read waits for (default: a majority)', level('--r'))
    .option('--w <count>', 'acknowledgements a write waits for (default: a majority)', level('--w'))
    .option('--sloppy', 'other nodes may stand in for dead replicas: always writable, weaker promises')
    .addOption(
      new Option('--read-repair <when>', 'async, or blocking: monotonic quorum reads').choices([
        'async',
        'blocking',
      ]),
    )
    .option(
      '--write-parts <count>',
      'for few keys that are written often: the writes of each key go to 2 to 64 parts on replicas of their own, and every read asks all parts (hash tables, siblings)',
      integer('--write-parts'),
    )
    .action((name, options) =>
      withContext(options, result, async context =>
        (await import('../commands/tables.ts')).createTable(context, name, options),
      ),
    )
  addTableViews(tables, result)
}

function addTableViews(tables: Command, result: ProgramResult): void {
  talking(tables.command('alter').argument('<name>'))
    .description('changes what is measured of a table; its answers stay as they are')
    .addOption(
      new Option(
        '--shadow <rule>',
        'of a table with rule lww: count what siblings would have kept; none: no more',
      )
        .choices(['siblings', 'none'])
        .makeOptionMandatory(),
    )
    .action((name, options) =>
      withContext(options, result, async context =>
        (await import('../commands/tables.ts')).alterTable(context, name, options),
      ),
    )
  talking(tables.command('list'))
    .description('all tables')
    .action(options =>
      withContext(options, result, async context =>
        (await import('../commands/tables.ts')).listTables(context, undefined),
      ),
    )
  talking(tables.command('show').argument('<name>'))
    .description('one table and what its numbers mean')
    .action((name, options) =>
      withContext(options, result, async context =>
        (await import('../commands/tables.ts')).listTables(context, name),
      ),
    )
}

const SESSION_WORDS =
  'sees what earlier calls with this file saw and wrote; the file is made and kept up to date'

function addGet(program: Command, result: ProgramResult): void {
  const rows = () => import('../commands/rows.ts')
  timeout(
    talking(
      program
        .command('get')
        .argument('<table>')
        .argument('<key...>', 'partition key, and sort key where there is one'),
    ),
  )
    .description('reads one row: value or siblings, context, receipt')
    .option('--r <count>', 'one, quorum, all or a number', level('--r'))
    .addOption(
      new Option(
        '--read <from>',
        'with a leader: the leader (default), any replica, or with --session any that has what was seen',
      ).choices(['leader', 'any', 'session']),
    )
    .option(
      '--max-staleness <age>',
      'with a leader: any replica whose state is not older than this: 500ms, 10s',
      positiveMilliseconds('--max-staleness', REQUEST_MAX_MS),
    )
    .option('--session <file>', SESSION_WORDS)
    .action((table, key, options) =>
      withContext(options, result, async context => (await rows()).get(context, table, key, options)),
    )
}

function addRows(program: Command, result: ProgramResult): void {
  const rows = () => import('../commands/rows.ts')
  const writing = (command: Command): Command =>
    timeout(talking(command))
      .option('--w <count>', 'one, quorum, all or a number', level('--w'))
      .option('--context <token>', 'what a get printed: this write replaces what that read saw', contextToken)
      .option('--strict', 'on a sloppy table: count home replicas only')
      .option(
        '--if <condition>',
        'with a leader: only when this holds, else exit code 6 and the row as it is: missing, exists, likes<100, name="Ada", or JSON',
      )
      .addOption(
        new Option('--ack <copies>', 'with a leader: more copies than the table asks for').choices([
          'all',
          'in-sync',
          'majority',
          'one',
          'none',
        ]),
      )
      .option('--session <file>', SESSION_WORDS)
      .option(
        '--operation <id>',
        'repeats a write of unknown outcome: the id its error named; it is not applied twice',
        operation,
      )
  writing(program.command('put').argument('<table>').argument('<row>', 'a JSON object, or - for stdin'))
    .description('writes one row')
    .action((table, row, options) =>
      withContext(options, result, async context => (await rows()).put(context, table, row, options)),
    )
  writing(
    program
      .command('update')
      .argument('<table>')
      .argument('<key-and-steps...>', 'the key, then steps: likes+=1 seen=now() tags<<"x" -- -city'),
  )
    .description(
      'changes fields of one row: where its writes are ordered (tables with leaders; without --if exists it makes the row), or merged field by field (crdt: likes+=1 tags<<"x" tags>>"x" on=true name="Ada" -- -tags)',
    )
    .action((table, given, options) =>
      withContext(options, result, async context => (await rows()).update(context, table, given, options)),
    )
  writing(program.command('delete').argument('<table>').argument('<key...>'))
    .description('deletes one row')
    .action((table, key, options) =>
      withContext(options, result, async context => (await rows()).remove(context, table, key, options)),
    )
}

function addRanges(program: Command, result: ProgramResult): void {
  const ranges = () => import('../commands/ranges.ts')
  const limited = (command: Command): Command =>
    timeout(talking(command))
      .option('--limit <count>', 'rows at most', integer('--limit'), 100)
      .option('--resume <token>', 'goes on behind the row where the last output ended')
      .option('--r <count>', 'one, quorum, all or a number', level('--r'))
  limited(program.command('query').argument('<table>').argument('<key>', 'partition key'))
    .description('the rows of one partition key, in order of the sort key')
    .option('--from <value>', 'first sort key')
    .option('--to <value>', 'last sort key')
    .option('--reverse', 'last first')
    .action((table, key, options) =>
      withContext(options, result, async context => (await ranges()).query(context, table, key, options)),
    )
  limited(program.command('scan').argument('<table>'))
    .description('rows of a table, of several partitions at once')
    .option('--from <key>', 'first partition key (range tables)')
    .option('--to <key>', 'last partition key (range tables)')
    .option('--reverse', 'last first (range tables)')
    .action((table, options) =>
      withContext(options, result, async context => (await ranges()).scan(context, table, options)),
    )
}

function addChanges(program: Command, result: ProgramResult): void {
  talking(program.command('changes').argument('<table>'))
    .description('what is committed in a table with leaders (logical log), as JSON Lines, until interrupted')
    .option('--from <place>', 'now, start, or a place that --places or the end of a feed has told', 'now')
    .option('--places', 'tells with each change the place behind it')
    .option('--until-now', 'ends when what is committed now has been told')
    .option('--limit <count>', 'changes at most', integer('--limit'))
    .option(
      '--reader <name>',
      'goes on where the reader of this name was; the cluster keeps its place, and the log for it; --from says where a new one begins',
    )
    .option('--readers', 'lists the readers whose places are kept')
    .option('--forget <name>', 'keeps the log for this reader no longer')
    .action((table, options) =>
      withContext(options, result, async context =>
        (await import('../commands/changes.ts')).changes(context, table, options),
      ),
    )
}

function addTransfer(program: Command, result: ProgramResult): void {
  const transfer = () => import('../commands/transfer.ts')
  const format = () =>
    new Option('--format <format>', 'jsonl or csv (default: by the name of the file)').choices([
      'jsonl',
      'csv',
    ])
  talking(program.command('import').argument('<table>').argument('<file>', 'a file, or - for stdin'))
    .description('writes every line of a file as a row; JSON Lines or CSV with a header')
    .addOption(format())
    .option(
      '--skip <lines>',
      'leave out the first so many rows: goes on after an interrupted import',
      integer('--skip'),
      0,
    )
    .option(
      '--replace',
      'read each row first and replace what is there; without it an existing row gets a sibling',
    )
    .option('--concurrency <count>', 'writes in flight', integer('--concurrency'), 128)
    .option('--w <count>', 'one, quorum, all or a number', level('--w'))
    .action((table, file, options) =>
      withContext(options, result, async context =>
        (await transfer()).importRows(context, table, file, options),
      ),
    )
  talking(program.command('export').argument('<table>').argument('<file>', 'a file, or - for stdout'))
    .description('every row of a table; rows with siblings are named on stderr')
    .addOption(format())
    .option('--r <count>', 'one, quorum, all or a number', level('--r'))
    .action((table, file, options) =>
      withContext(options, result, async context =>
        (await transfer()).exportRows(context, table, file, options),
      ),
    )
}
