/**
 * Tables with leaders on real processes: leaders killed, frozen for 20 s and woken, and cut one way, while twenty clients
 * append. Under `majority` histories are linearizable with nothing lost; under `none` what was acknowledged and is gone is
 * in the ledger, exactly.
 */

import { spawnSync } from 'node:child_process'
import { setTimeout as pause } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { Appending, judge, LISTS } from './appending.ts'
import { type Placement, TestNodes, until } from './harness.ts'

async function leaderOf(nodes: TestNodes, partition: number, silent = ''): Promise<string> {
  let leader = ''
  await until(`partition ${partition} has a leader`, async () => {
    const { items } = await nodes.json<{ partition: number; leader: string }>(
      ['lag', 'lists'],
      undefined,
      silent,
    )
    leader = items.find(item => item.partition === partition)?.leader ?? ''
    return leader !== ''
  })
  return leader
}

async function started(ack: string, partitions: number, placement?: Placement) {
  const nodes = await TestNodes.start(5, [], placement)
  const create = ['table', 'create', 'lists', '--key', 'id', '--partitioning', 'fixed', '--single-leader']
  const made = await nodes.command([...create, '--partitions', String(partitions), '--ack', ack])
  expect(made.code, made.stderr).toBe(0)
  return { nodes, work: new Appending(nodes.connectString, placement?.wrap) }
}

it('majority: leaders killed, and frozen for 20 s and woken: linearizable, nothing lost', async () => {
  const { nodes, work } = await started('majority', 4)
  try {
    await work.goesOn('all is well')
    const first = await leaderOf(nodes, 0)
    await nodes.end(first, 'SIGKILL')
    await work.goesOn(`${first} is dead`)
    nodes.launch(first)
    await nodes.ready()
    const second = await leaderOf(nodes, 1)
    nodes.node(second).child?.kill('SIGSTOP')
    await work.goesOn(`${second} stands still`)
    await pause(20_000)
    nodes.node(second).child?.kill('SIGCONT')
    await work.goesOn(`${second} is awake again`)
    const outcome = await work.stop()
    expect(judge(outcome, new Set(), true)).toEqual([])
    expect(outcome.history.appends.filter(one => one.outcome === 'ok').length).toBeGreaterThan(800)
    expect(outcome.history.reads.length).toBeGreaterThan(100)
  } finally {
    await work.end()
    await nodes.close()
  }
}, 180_000)

const namespace = `quorate-led-${process.pid}`
const ip = (...args: string[]) => spawnSync('ip', args, { encoding: 'utf8' })
/** Each node has a user of its own, so that the kernel can be told to send nothing for one of them. */
const FIRST_USER = 21_700
const asUser = (user: number): string[] => [
  ...['setpriv', `--reuid=${user}`, '--clear-groups'],
  ...['--inh-caps=+dac_override,+dac_read_search', '--ambient-caps=+dac_override,+dac_read_search'],
]

function whyNoNamespace(): string | undefined {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'needs root on Linux'
  if (spawnSync('setpriv', ['--version']).status !== 0) return 'needs setpriv (util-linux)'
  const made = ip('netns', 'add', namespace)
  if (made.status !== 0) return `ip netns add: ${made.error?.message ?? made.stderr.trim()}`
  return undefined
}

it('majority: leaders cut one way, in either direction: linearizable, nothing lost', async context => {
  const reason = whyNoNamespace()
  if (reason !== undefined) {
    process.stdout.write(`skipped: one-way cut (${reason})\n`)
    context.skip(reason)
  }
  const inside = (...args: string[]): void => {
    const { status, stderr } = ip('netns', 'exec', namespace, 'ip', ...args)
    expect(status, `ip ${args.join(' ')}: ${stderr}`).toBe(0)
  }
  let nodes: TestNodes | undefined
  let work: Appending | undefined
  try {
    inside('link', 'set', 'lo', 'up')
    // Local addresses are looked up behind the rules that the test makes, not before them.
    inside('rule', 'add', 'pref', '100', 'lookup', 'local')
    inside('rule', 'del', 'pref', '0')
    ;({ nodes, work } = await started('majority', 4, {
      wrap: ['ip', 'netns', 'exec', namespace],
      wrapNode: index => asUser(FIRST_USER + index),
      host: index => `127.0.1.${index + 1}`,
    }))
    await work.goesOn('all is well')
    const numberOf = (id: string): number => Number(id.slice(1)) - 1

    const mute = await leaderOf(nodes, 0)
    const user = FIRST_USER + numberOf(mute)
    inside('rule', 'add', 'pref', '50', 'uidrange', `${user}-${user}`, 'blackhole')
    await work.goesOn(`${mute} hears all and nothing it says arrives`)
    await pause(5_000)
    await work.goesOn(`${mute} is still mute`)
    expect(await leaderOf(nodes, 0, mute)).not.toBe(mute)
    inside('rule', 'del', 'pref', '50')
    await work.goesOn(`${mute} is heard again`)

    const deaf = await leaderOf(nodes, 1)
    const address = `127.0.1.${numberOf(deaf) + 1}/32`
    inside('rule', 'add', 'pref', '50', 'to', address, 'blackhole')
    await work.goesOn(`nothing that is sent to ${deaf} arrives`)
    await pause(5_000)
    await work.goesOn(`${deaf} is still out of reach`)
    inside('rule', 'del', 'pref', '50')
    await work.goesOn(`${deaf} can be reached again`)

    const outcome = await work.stop()
    expect(judge(outcome, new Set(), true)).toEqual([])
    expect(outcome.history.appends.filter(one => one.outcome === 'ok').length).toBeGreaterThan(1_000)
  } finally {
    await work?.end()
    await nodes?.close()
    ip('netns', 'del', namespace)
  }
}, 240_000)

it('none: after an unclean election acknowledged = there + ledger', async () => {
  const { nodes, work } = await started('none', 1)
  try {
    await work.goesOn('all is well')
    const old = await leaderOf(nodes, 0)
    await nodes.end(old, 'SIGKILL')
    let plan = ''
    await until('an unclean election is planned', async () => {
      plan = (await planId(nodes)) ?? ''
      return plan !== ''
    })
    const committed = await nodes.command(['cluster', 'elect', 'lists', '--commit', plan, '--yes'])
    expect(committed.code, committed.stderr).toBe(0)
    await work.goesOn('another leads')
    nodes.launch(old)
    await nodes.ready()
    await until('the old leader has the log of the new one', async () => {
      const { items } = await nodes.json<{ followers: string[] }>(['lag', 'lists'])
      return items.length === 1 && !items[0]!.followers.some(text => /answered|filled/.test(text))
    })
    const outcome = await work.stop()
    const ledger = await nodes.json<{ value: { tags?: string[] } | null }>([
      'ledger',
      'lists',
      '--limit',
      '10000',
    ])
    const cut = new Set(ledger.items.flatMap(({ value }) => value?.tags ?? []))
    expect(judge(outcome, cut, false)).toEqual([])
    expect(outcome.final.size).toBe(LISTS)
    // What was cut is told by the row that the append made: its tag is the last one.
    const gone = new Set(ledger.items.flatMap(({ value }) => value?.tags?.at(-1) ?? []))
    const there = new Set([...outcome.final.values()].flat())
    const lost = outcome.history.appends.filter(one => one.outcome === 'ok' && !there.has(one.tag))
    expect(lost.map(({ tag }) => tag).filter(tag => !gone.has(tag))).toEqual([])
    // And nothing else: what is in the ledger and was acknowledged is lost, unless it was tried again.
    const tried = new Set(outcome.history.appends.map(({ tag }) => tag))
    expect([...gone].filter(tag => !tried.has(tag))).toEqual([])
  } finally {
    await work.end()
    await nodes.close()
  }
}, 180_000)

async function planId(nodes: TestNodes): Promise<string | null> {
  const { stdout } = await nodes.command(['cluster', 'elect', 'lists', '--json'])
  return (JSON.parse(stdout) as { plan: string | null }).plan
}
