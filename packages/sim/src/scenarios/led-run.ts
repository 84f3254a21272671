/**
 * One run over a table with leaders: appends, conditional appends and reads under faults and changes of leader, then
 * healing, then judgement by what the lists say (checkers/list-order.ts) and by the logs (checkers/logs.ts).
 */

import {
  append,
  equal,
  generatedId,
  increment,
  missing,
  type Row,
  Session,
  type TableClient,
  table,
} from '@quorate/client/pure'
import {
  decodeDocument,
  describeError,
  isQuorateError,
  randomPick,
  randomUnit,
  SeededRandom,
} from '@quorate/core'
import { CarriedOut } from '../checkers/carried-out.ts'
import type { Violation } from '../checkers/evidence.ts'
import { checkFeed } from '../checkers/feed.ts'
import { checkGeneratedIds } from '../checkers/generated-ids.ts'
import { checkEpochs, checkLists } from '../checkers/list-order.ts'
import { checkListSessions } from '../checkers/list-sessions.ts'
import { ledDifferences } from '../checkers/logs.ts'
import { FaultInjector } from '../faults/fault-injector.ts'
import { CausalPairs } from '../workloads/causal-pairs.ts'
import { FeedConsumer } from '../workloads/feed-consumer.ts'
import { handOver } from '../workloads/hand-overs.ts'
import { type ListAppend, ListHistory, tagsOf } from '../workloads/list-history.ts'
import { Operator } from '../workloads/operator.ts'
import { SimCluster } from '../world/sim-cluster.ts'
import type { SimMachine } from '../world/sim-machine.ts'
import { Simulation } from '../world/simulation.ts'
import { describeLed, type LedOptions } from './led-options.ts'
import type { SwarmHost, SwarmResult, Verdict } from './swarm.ts'

interface List extends Row {
  readonly k: string
  readonly n: number
  readonly l: readonly string[]
  /** One generated with each append. */
  readonly ids: readonly number[]
}

/** A client's session, and the name that the history knows it by. */
interface NamedSession {
  readonly name: string
  readonly session: Session
}

interface Done {
  readonly list: readonly string[]
  readonly ids: readonly unknown[]
}

const lists = table<List>('lists', { key: 'k' })
const FORMING_MS = 60_000
const CONVERGE_MS = 120_000
const TIMEOUT_MS = 4_000
const STUCK_MS = 8_000
/** Twice what a node tolerates of another's clock: the clocks of leader and follower, each off to one side. */
const CLOCKS_APART_MS = 20_000

export async function runLed(options: LedOptions, host: SwarmHost): Promise<SwarmResult> {
  return new LedRun(options, host).go()
}

class LedRun {
  readonly #options: LedOptions
  readonly #simulation: Simulation
  readonly #random: SeededRandom
  readonly #faults: FaultInjector
  readonly #cluster: SimCluster
  readonly #history = new ListHistory()
  readonly #violations: Violation[] = []
  readonly #coverage: Record<string, number> = {}
  /** Of processes that have ended: tags in their ledgers, and what they counted. */
  readonly #ledger = new Set<string>()
  #tags = 0
  #uncleans = 0
  #sessions = 0
  #operator: Operator | undefined
  #pairs: CausalPairs | undefined
  #feed: FeedConsumer | undefined
  #fed = Promise.resolve()
  #working = false
  #underWay = 0

  constructor(options: LedOptions, host: SwarmHost) {
    this.#options = options
    this.#simulation = new Simulation({ seed: options.seed ^ 0x1ead, drain: host.drain, line: host.line })
    this.#random = this.#simulation.random.fork()
    this.#simulation.tell(describeLed(options))
    host.watch?.(error => this.#simulation.fail(error))
    const kinds = new Set(options.faults)
    const faults = new FaultInjector({ kinds, everyMs: options.faultEveryMs }, this.#random.fork())
    this.#faults = faults
    this.#cluster = new SimCluster(this.#simulation, options, {
      onNetworkFault: fault => faults.networkFault(fault),
      onStorageFault: fault => faults.storageFault(fault),
      onFatal: (machine, error) => faults.fatal(machine, error),
      onEnd: machine => this.#leave(machine),
      onDamaged: (machine, error) => {
        if (faults.destruction.wounded !== machine)
          this.#violate('store', `${machine.id} is damaged, and nothing damaged it: ${error.message}`)
        faults.damaged(machine)
      },
    })
    faults.follow(this.#cluster)
  }

  async go(): Promise<SwarmResult> {
    const simulation = this.#simulation
    let verdict: Verdict = 'ok'
    if (!(await this.#form())) verdict = 'liveness'
    else {
      await this.#workUnderFaults()
      if (simulation.failure === undefined && !(await this.#healAndConverge())) verdict = 'liveness'
      if (simulation.failure === undefined) await this.#judge()
    }
    for (const machine of this.#cluster.machines) this.#leave(machine)
    if (this.#violations.some(({ checker }) => checker !== 'liveness')) verdict = 'safety'
    if (simulation.failure !== undefined) {
      verdict = 'crash'
      const { error, atMs } = simulation.failure
      const stack = error instanceof Error ? (error.stack ?? error.message) : String(error)
      this.#violate('crash', `at ${atMs.toFixed(1)}: ${stack}`)
    }
    return {
      seed: this.#options.seed,
      verdict,
      violations: this.#violations,
      traceHash: simulation.traceHash,
      simulatedMs: simulation.nowMs,
      events: simulation.events,
      operations: this.#history.operations,
      acknowledged: this.#history.appends.filter(({ outcome }) => outcome === 'ok').length,
      faults: this.#faults.counts,
      coverage: this.#coverage,
    }
  }

  readonly #violate = (checker: string, message: string): void => {
    if (this.#violations.length < 20) this.#violations.push({ checker, message })
    this.#simulation.tell(`VIOLATION ${checker}: ${message}`)
  }

  #leave({ node }: SimMachine): void {
    if (node === undefined) return
    for (const { value } of node.context.ledger.list(undefined, 0 as never, 1_000_000)) {
      if (value === undefined) continue
      for (const tag of tagsOf(decodeDocument(value))) this.#ledger.add(tag)
    }
    for (const [name, count] of Object.entries(node.counters))
      this.#coverage[name] = (this.#coverage[name] ?? 0) + count
  }

  async #drive(work: Promise<unknown>, withinMs: number): Promise<boolean> {
    let ended = false
    const end = (): void => {
      ended = true
    }
    work.then(end, (error: unknown) => this.#simulation.fail(error))
    return this.#simulation.run(this.#simulation.nowMs + withinMs, () => ended)
  }

  async #form(): Promise<boolean> {
    this.#cluster.start()
    const { client } = this.#cluster.newClient('c0')
    const { n, ack, minInSync, log, partitions } = this.#options
    let failed: unknown
    const work = async (): Promise<void> => {
      await client.ready({ timeoutMs: FORMING_MS / 2 })
      await client.createTable('lists', {
        key: 'k',
        partitioning: { kind: 'fixed', partitions },
        replication: { kind: 'single-leader', n, ack, log, ...(ack === 'in-sync' ? { minInSync } : {}) },
      })
    }
    const ended = await this.#drive(
      work().catch((error: unknown) => {
        failed = error
      }),
      FORMING_MS,
    )
    if ((ended && failed === undefined) || this.#simulation.failure !== undefined) return true
    this.#violate('liveness', `the cluster did not form: ${describeError(failed)}`)
    return false
  }

  // ── work ──

  async #workUnderFaults(): Promise<void> {
    const { clients, safetyMs, operationsPerSecond, handOverEveryMs, uncleanEveryMs, ack } = this.#options
    this.#working = true
    const pairs = new CausalPairs(this.#random.fork(), message => this.#violate('causal-order', message))
    this.#pairs = pairs
    for (let i = 1; i <= clients; i++) {
      const { client, name } = this.#cluster.newClient(`c${i}`)
      const db = client.table(lists)
      const random = this.#random.fork()
      const pace = (1_000 * clients) / operationsPerSecond
      this.#repeat(random, pace, () => this.#step(db, name, random))
      // What an unclean election gives up may be a question.
      if (uncleanEveryMs === 0) this.#repeat(random, 4 * pace, () => pairs.step(db))
      let own = this.#newSession()
      this.#repeat(random, 4 * pace, () => {
        if (randomUnit(random) < 0.05) own = this.#newSession()
        return this.#sessionStep(db, name, random, own)
      })
    }
    if (ack !== 'none' && uncleanEveryMs === 0) new CarriedOut(this.#cluster, this.#violate).watch()
    this.#consume()
    this.#hireOperator()
    if (handOverEveryMs > 0) {
      const random = this.#random.fork()
      this.#repeat(random, handOverEveryMs, async () => {
        if (await handOver(this.#cluster, random))
          this.#coverage.handOvers = (this.#coverage.handOvers ?? 0) + 1
      })
    }
    if (uncleanEveryMs > 0) {
      const random = this.#random.fork()
      this.#repeat(random, uncleanEveryMs, () => this.#electUncleanly(random))
    }
    this.#faults.start()
    await this.#simulation.run(this.#simulation.nowMs + safetyMs)
  }

  /** Who lets nodes join and leave, and moves partitions, and takes it back half-way. */
  #hireOperator(): void {
    const { operatorEveryMs, n, nodes, seed } = this.#options
    if (operatorEveryMs === 0) return
    const operator = new Operator({
      cluster: this.#cluster,
      random: new SeededRandom(seed ^ 0x30fe),
      autoRandom: new SeededRandom(seed ^ 0xa070),
      destruction: this.#faults.destruction,
      membersMin: n,
      membersMax: nodes + 2,
      replaces: false,
      onNewcomer: machine => {
        this.#faults.watch(machine)
        machine.start()
      },
      onGone: machine => void this.#faults.gone.add(machine),
    })
    this.#operator = operator
    this.#repeat(this.#random.fork(), operatorEveryMs, () => operator.step())
  }

  async #operatorSettled(): Promise<boolean> {
    let settled = true
    const work = async (): Promise<void> => {
      settled = (await this.#operator?.settle()) ?? true
    }
    return (await this.#drive(work(), 10_000)) && settled
  }

  /** Of a logical log someone keeps a copy. */
  #consume(): void {
    const { log, partitions } = this.#options
    if (log !== 'logical') return
    const { client } = this.#cluster.newClient('feed')
    const tell = (message: string): void => this.#simulation.tell(message)
    this.#feed = new FeedConsumer(client.table(lists), { clock: client.clock, partitions, tell })
    this.#fed = this.#feed.run().catch((error: unknown) => this.#simulation.fail(error))
  }

  #repeat(random: SeededRandom, everyMs: number, run: () => Promise<unknown>): void {
    const next = (): void => {
      this.#simulation.at(everyMs * 2 * randomUnit(random) * 1_000, () => {
        if (!this.#working) return
        let ended = false
        this.#underWay++
        const end = (): void => {
          if (ended) return
          ended = true
          this.#underWay--
          next()
        }
        run().then(end, (error: unknown) => this.#simulation.fail(error))
        this.#simulation.at(STUCK_MS * 1_000, end)
      })
    }
    next()
  }

  async #step(db: TableClient<List>, client: string, random: SeededRandom): Promise<void> {
    const row = `k${Math.floor(randomUnit(random) * this.#options.keys)}`
    const what = randomUnit(random)
    if (what < 0.45) await this.#append(db, client, row, undefined)
    else if (what < 0.7) {
      const found = await this.#read(db, client, row, 'leader')
      if (found !== undefined) await this.#append(db, client, row, found.list.length)
    } else if (what < 0.9) await this.#read(db, client, row, 'leader')
    else await this.#read(db, client, row, 'any')
  }

  #newSession(): NamedSession {
    return { name: `s${++this.#sessions}`, session: new Session() }
  }

  /** Writes, and reads from whatever replica it meets: whatever that is, nothing seen before is missing. */
  async #sessionStep(
    db: TableClient<List>,
    client: string,
    random: SeededRandom,
    own: NamedSession,
  ): Promise<void> {
    const row = `k${Math.floor(randomUnit(random) * this.#options.keys)}`
    if (randomUnit(random) < 0.4) await this.#append(db, client, row, undefined, own)
    await this.#read(db, client, row, 'session', own)
    await this.#read(db, client, row, 'session', own)
  }

  /** `expected`: only if the list is so long. */
  async #append(
    db: TableClient<List>,
    client: string,
    row: string,
    expected: number | undefined,
    own?: NamedSession,
  ): Promise<void> {
    const tag = `t${++this.#tags}`
    const beganMs = this.#simulation.nowMs
    const condition = expected === undefined ? undefined : expected === 0 ? missing() : equal('n', expected)
    const end = (outcome: ListAppend['outcome'], receipt?: ListAppend['receipt'], note = ''): void => {
      const endedMs = outcome === 'unknown' ? Number.POSITIVE_INFINITY : this.#simulation.nowMs
      this.#history.appends.push({ row, client, session: own?.name, tag, beganMs, endedMs, outcome, receipt })
      const by =
        receipt?.log === undefined
          ? ''
          : ` by ${receipt.log.leader} ${receipt.log.epoch}/${receipt.log.position}`
      const when = expected === undefined ? '' : ` if ${expected}`
      this.#simulation.tell(
        `${client} append ${tag} to ${row}${when} since ${beganMs.toFixed(1)} -> ${outcome}${by}${note}`,
      )
    }
    try {
      const steps = [append('l', tag), increment('n'), append('ids', generatedId())]
      const options = { if: condition, timeoutMs: TIMEOUT_MS, session: own?.session }
      const result = await db.update(row, steps, options)
      if (result.applied) return end('ok', result.receipt)
      end('refused', result.receipt)
      this.#noteRead(
        row,
        client,
        beganMs,
        (result.current as List | undefined)?.l ?? [],
        result.receipt,
        true,
      )
    } catch (error) {
      if (!isQuorateError(error)) throw error
      end(
        error.outcome === 'unknown' ? 'unknown' : 'not-applied',
        undefined,
        ` ${error.code}: ${error.message}`,
      )
    }
  }

  async #read(
    db: TableClient<List>,
    client: string,
    row: string,
    read: 'leader' | 'any' | 'session',
    own?: NamedSession,
  ): Promise<Done | undefined> {
    const beganMs = this.#simulation.nowMs
    try {
      const { value, receipt } = await db.get(row, {
        ...(read === 'leader' ? {} : { read }),
        timeoutMs: TIMEOUT_MS,
        session: own?.session,
      })
      const list = value?.l ?? []
      this.#noteRead(row, client, beganMs, list, receipt, receipt.log?.byLeader === true, own?.name)
      return { list, ids: value?.ids ?? [] }
    } catch (error) {
      if (!isQuorateError(error)) throw error
      this.#simulation.tell(
        `${client} read ${row} since ${beganMs.toFixed(1)} -> ${error.code}: ${error.message}`,
      )
      return undefined
    }
  }

  #noteRead(
    row: string,
    client: string,
    beganMs: number,
    found: readonly string[],
    receipt: ListAppend['receipt'],
    byLeader: boolean,
    session?: string,
  ): void {
    const endedMs = this.#simulation.nowMs
    this.#history.reads.push({ row, client, session, beganMs, endedMs, found, receipt, byLeader })
    const log = receipt?.log
    const age = byLeader ? '' : ` ${log?.staleMs} ms old`
    this.#simulation.tell(
      `${client} ${session ?? ''} read ${row} since ${beganMs.toFixed(1)} -> ${found.length} [… ${found.slice(-3).join(' ')}] by ${receipt?.coordinator} ${log?.epoch}/${log?.position}${age}`,
    )
  }

  /** As an operator does who would rather lose a little than wait: what the plan says may be lost, is. */
  async #electUncleanly(random: SeededRandom): Promise<void> {
    const { node, id } = randomPick(random, this.#cluster.machines)
    if (node === undefined || node.catalog.findNamed('lists') === undefined) return
    try {
      const plan = await node.leaders.unclean.plan('lists')
      if (plan.items.length === 0) return
      await node.leaders.unclean.commit('lists', plan.id)
      this.#uncleans += plan.items.length
      for (const { words } of plan.items) this.#simulation.tell(`${id}: UNCLEAN ${words}`)
    } catch (error) {
      if (!isQuorateError(error)) throw error
      if (error.outcome === 'unknown') this.#uncleans++
      this.#simulation.tell(`${id}: no unclean election: ${error.message}`)
    }
  }

  // ── healing and judgement ──

  async #healAndConverge(): Promise<boolean> {
    this.#working = false
    this.#faults.heal()
    const simulation = this.#simulation
    await simulation.run(simulation.nowMs + 2 * STUCK_MS, () => this.#underWay === 0)
    const deadlineMs = simulation.nowMs + CONVERGE_MS
    let left = ['nothing was looked at']
    while (simulation.nowMs < deadlineMs && simulation.failure === undefined && left.length > 0) {
      await simulation.run(simulation.nowMs + 1_000)
      left = (await this.#operatorSettled()) ? ledDifferences(this.#cluster) : [this.#operator!.describe()]
      if (left.length === 0 && !this.#faults.destruction.healed) left = ['damage is not healed yet']
    }
    if (left.length === 0 || simulation.failure !== undefined) return true
    this.#violate('liveness', `not converged ${CONVERGE_MS / 1_000} s after healing: ${left.join('; ')}`)
    return false
  }

  async #judge(): Promise<void> {
    const { client } = this.#cluster.newClient('judge')
    const db = client.table(lists)
    const final = new Map<string, readonly string[]>()
    const ids = new Map<string, readonly unknown[]>()
    const work = async (): Promise<void> => {
      await client.ready()
      for (const row of this.#history.rows()) {
        await this.#append(db, 'judge', row, undefined)
        const found = await this.#read(db, 'judge', row, 'leader')
        if (found === undefined) this.#violate('liveness', `${row} cannot be read after healing`)
        else {
          final.set(row, found.list)
          ids.set(row, found.ids)
        }
      }
      this.#feed?.stop()
      await this.#fed
    }
    if (!(await this.#drive(work(), 300_000))) this.#violate('liveness', 'the final reads did not end')
    for (const machine of this.#cluster.machines) this.#leave(machine)
    const { partitions } = client.router.catalog.named('lists').map
    const isWhole = partitions.every(({ lead }) => (lead?.unclean ?? 0) === 0)
    const evidence = {
      history: this.#history,
      final,
      ledger: this.#ledger,
      isWhole,
      clocksApartMs: CLOCKS_APART_MS,
    }
    const partitionOf = (row: string): string => (partitions.length === 1 ? 'the partition' : row)
    this.#coverage.uncleanElections = this.#uncleans
    for (const [name, count] of Object.entries(this.#operator?.counts ?? {}))
      this.#coverage[`operator ${name}`] = count
    this.#coverage.answersRead = this.#pairs?.seen ?? 0
    this.#coverage.feedTruncations = this.#feed?.history.truncations ?? 0
    this.#coverage.feedGaps = this.#feed?.history.gaps.size ?? 0
    const found = [
      ...checkLists(evidence),
      // A session that saw what was given up ends with an error, and another one begins without it.
      ...(isWhole ? checkListSessions(this.#history) : []),
      ...checkGeneratedIds(final, ids, partitionOf),
      ...checkEpochs(this.#history, partitionOf),
      ...(this.#feed === undefined ? [] : checkFeed(this.#feed.history, final)),
    ]
    for (const { checker, message } of found) this.#violate(checker, message)
  }
}
