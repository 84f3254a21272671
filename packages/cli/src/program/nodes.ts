/** Commands that start nodes. */

import { type Command, Option } from 'commander'
import { byteCount, integer, port } from '../arguments.ts'
import type { ProgramResult } from '../command-context.ts'
import { usageError } from '../command-error.ts'

const weight = (text: string): number => {
  const value = Number(text)
  if (!(value > 0)) throw usageError(`--weight is a number above 0, not "${text}"`)
  return value
}

export function addNodeCommands(program: Command, result: ProgramResult): void {
  addDemo(program, result)
  addStart(program, result)
  addProxy(program, result)
}

function addProxy(program: Command, result: ProgramResult): void {
  program
    .command('proxy')
    .description('one address for clients: sends each request to a node that keeps its row')
    .requiredOption('--nodes <addresses>', 'data ports of some nodes: host:port[,host:port…]')
    .option('--listen <address>', 'where clients connect: host:port', '127.0.0.1:7700')
    .action(async options => {
      const { proxy } = await import('../commands/proxy.ts')
      const { processTerminal } = await import('../output/terminal.ts')
      result.exitCode = await proxy(options, processTerminal())
    })
}

function addDemo(program: Command, result: ProgramResult): void {
  program
    .command('demo')
    .description(
      'three nodes, a real data set, one node killed in mid-import, and the proof that nothing is lost',
    )
    .option('--nodes <count>', 'how many nodes', integer('--nodes'), 3)
    .option('--exit', 'end when everything is checked, without the prompt')
    .option('--json', 'the last line of stdout is one JSON document (with --exit)')
    .option('--seed <number>', 'decides which node dies, and when', integer('--seed'), 1)
    .option(
      '--http-port <port>',
      'first admin port (default 7480; 0: any that are free)',
      port('--http-port'),
    )
    .option('--data <directory>', 'keep the data there (default: temporary, removed at the end)')
    .addOption(
      new Option('--rows <count>', 'import only so many rows').argParser(integer('--rows')).hideHelp(),
    )
    .action(async options => {
      const { checkDemoOptions, runDemo } = await import('../demo/demo.ts')
      const { processTerminal } = await import('../output/terminal.ts')
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

function addStart(program: Command, result: ProgramResult): void {
  program
    .command('start')
    .description('starts one node in this process; settings: flag > QUORATE_* > file > default')
    .option('--config <file>', 'settings as YAML')
    .option('--id <id>', 'name of the node')
    .option('--listen <address>', 'data port: host:port (default 127.0.0.1:7701)')
    .option('--http <address>', 'admin port: host:port (default 127.0.0.1:7480)')
    .option('--data <directory>', 'data directory, made when it is missing')
    .option(
      '--coordination <where>',
      'where the registers live: embedded (default) or etcd://host:port[,host:port…][/cluster]',
    )
    .option('--zone <name>', 'what fails together: a rack, an availability zone (default: the id)')
    .option('--region <name>', 'nodes near each other')
    .option('--weight <number>', 'share of the ring, relative to the others', weight)
    .option(
      '--member <fields>',
      'another initial member, once for each of the others (this node may be left out): id=n2,address=host:port[,http=host:port][,zone=b][,region=eu][,weight=2]. All nodes must know the same members, with the same zone (default: the id), region and weight',
      (text: string, before: Record<string, unknown>[] | undefined) => [...(before ?? []), { text }],
    )
    .option('--log-level <level>', 'debug, info, warn or error')
    .option('--rebuild', 'moves a damaged data directory aside; the node is filled from its replicas')
    .option(
      '--join <addresses>',
      'join a cluster that exists: host:port[,host:port…], data ports of members. The node owns nothing until a plan is committed: quorate cluster plan',
    )
    .option('--cluster <id>', 'with --join: the id that the cluster must have')
    .option('--new-zone', 'with --join: the zone is meant to be one that no member is in yet')
    .option(
      '--move-bytes-per-second <bytes>',
      'what each node takes at most of rows that are moved to it, when a plan is committed here without --limit: 16MiB (default), 500KiB',
      byteCount('--move-bytes-per-second'),
    )
    .option(
      '--merge-modules <paths>',
      'modules with merge functions for tables of rule merge:NAME, parted by commas; the same on every node',
    )
    .action(async options => {
      const { parseMember, start } = await import('../commands/start.ts')
      const { processTerminal } = await import('../output/terminal.ts')
      const members = (options.member as { text: string }[] | undefined)?.map(({ text }) => parseMember(text))
      result.exitCode = await start({ ...options, member: members }, processTerminal())
    })
}
