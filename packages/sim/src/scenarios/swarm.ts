/**
 * One run of the swarm: form a cluster, work under faults (safety), then heal and demand progress
 * (liveness), then judge.
 *
 * Verdicts are told apart: `crash` (an assertion or an unhandled error: the code says that the state is
 * impossible), `safety` (a checker found a broken promise), `liveness` (with all faults gone, the cluster
 * did not come back, converge or serve within the bound).
 * Reference: TigerBeetle, "A Tale of Four Fuzzers" and the VOPR's safety and liveness modes (2023).
 */

import { decodeDocument, describeError, randomUnit, SeededRandom } from '@quorate/core'
import { checkCausalOrder } from '../checkers/causal-order.ts'
import { differences } from '../checkers/convergence.ts'
import type { Evidence, TableFacts, Violation } from '../checkers/evidence.ts'
import { checkHolders } from '../checkers/holders.ts'
import { MapWatch } from '../checkers/maps.ts'
import { checkMonotonicReads } from '../checkers/monotonic.ts'
import { checkNoLostWrite } from '../checkers/no-lost-write.ts'
import { checkNoResurrection } from '../checkers/no-resurrection.ts'
import { checkOutcomes } from '../checkers/outcomes.ts'
import { checkReceipts } from '../checkers/receipts.ts'
import { checkRegisters } from '../checkers/registers.ts'
import { checkSessionGuarantees } from '../checkers/session-guarantees.ts'
import { FaultInjector } from '../faults/fault-injector.ts'
import type { FaultCounts } from '../faults/fault-kinds.ts'
import { Actor } from '../workloads/actor.ts'
import { History } from '../workloads/history.ts'
import { Operator } from '../workloads/operator.ts'
import { RegisterClient, type RegisterOperation } from '../workloads/register-clients.ts'
import { SESSION_TABLE, SessionCast, SessionClient } from '../workloads/session-clients.ts'
import { step } from '../workloads/workloads.ts'
import { SimCluster } from '../world/sim-cluster.ts'
import type { SimMachine } from '../world/sim-machine.ts'
import { Simulation } from '../world/simulation.ts'
import { AgreedWork } from './agreed-work.ts'
import { MergingWork } from './merging-work.ts'
import { describeOptions, type SwarmOptions } from './swarm-options.ts'

export type Verdict = 'ok' | 'crash' | 'safety' | 'liveness'

export interface SwarmResult {
  readonly seed: number
  readonly verdict: Verdict
  readonly violations: readonly Violation[]
  readonly traceHash: string
  readonly simulatedMs: number
  readonly events: number
  readonly operations: number
  readonly acknowledged: number
  readonly faults: FaultCounts
  /** What the nodes did, summed, so that a run which exercised nothing is noticed. */
  readonly coverage: Readonly<Record<string, number>>
}

export interface SwarmHost {
  readonly drain: () => Promise<void>
  /** Given the way to report a promise that was rejected and that nobody waited for. */
  readonly watch?: ((fail: (error: unknown) => void) => void) | undefined
  readonly line?: ((line: string) => void) | undefined
}

const FORMING_MS = 60_000
const CONVERGE_MS = 120_000
const CLIENT_TIMEOUT_MS = 4_000
const STUCK_MS = 8_000

export async function runSwarm(options: SwarmOptions, host: SwarmHost): Promise<SwarmResult> {
  return new SwarmRun(options, host).go()
}

class SwarmRun {
  readonly #options: SwarmOptions
  readonly #simulation: Simulation
  readonly #random: SeededRandom
  readonly #faults: FaultInjector
  readonly #cluster: SimCluster
  readonly #history = new History()
  readonly #registerHistory: RegisterOperation[] = []
  readonly #sessions = new SessionCast()
  readonly #sessionClients: SessionClient[] = []
  readonly #merging: MergingWork
  readonly #agreed: AgreedWork
  readonly #violations: Violation[] = []
  readonly #actors: Actor[] = []
  readonly #coverage: Record<string, number> = {}
  /** Tags in the ledger of each machine when its last process ended, and those that went with a disk since. */
  readonly #lastLedgers = new Map<SimMachine, readonly string[]>()
  readonly #lostLedgers = new Set<string>()
  readonly #maps = new MapWatch()
  #operator: Operator | undefined
  #working = false
  #stepsUnderWay = 0

  constructor(options: SwarmOptions, host: SwarmHost) {
    this.#options = options
    this.#simulation = new Simulation({ seed: options.seed, drain: host.drain, line: host.line })
    this.#random = this.#simulation.random.fork()
    this.#simulation.tell(describeOptions(options))
    host.watch?.(error => this.#simulation.fail(error))
    const faults = new FaultInjector(
      { kinds: new Set(options.faults), everyMs: options.faultEveryMs },
      this.#random.fork(),
    )
    this.#faults = faults
    this.#cluster = new SimCluster(this.#simulation, options, {
      onNetworkFault: fault => faults.networkFault(fault),
      onStorageFault: fault => faults.storageFault(fault),
      onFatal: (machine, error) => faults.fatal(machine, error),
      onUp: machine => this.#maps.follow(machine.id, machine.node!.catalog),
      onEnd: machine => this.#lastLedgers.set(machine, [...ledgerTags(machine)]),
      onDamaged: (machine, error) => {
        if (faults.destruction.wounded !== machine)
          this.#violate('store', `${machine.id} is damaged, and nothing damaged it: ${error.message}`)
        faults.damaged(machine)
      },
    })
    this.#merging = new MergingWork(this.#cluster, options)
    this.#agreed = new AgreedWork(this.#cluster, options)
    faults.follow(this.#cluster)
    faults.onWipe = machine => {
      for (const tag of this.#lastLedgers.get(machine) ?? []) this.#lostLedgers.add(tag)
    }
  }

  async go(): Promise<SwarmResult> {
    const { simulation } = { simulation: this.#simulation }
    let verdict: Verdict = 'ok'
    if (!(await this.#form())) verdict = 'liveness'
    else {
      await this.#workUnderFaults()
      if (simulation.failure === undefined && !(await this.#healAndConverge())) verdict = 'liveness'
      if (simulation.failure === undefined) await this.#judge()
    }
    const safety = this.#violations.some(violation => violation.checker !== 'liveness')
    if (safety) verdict = 'safety'
    if (simulation.failure !== undefined) {
      verdict = 'crash'
      this.#violate('crash', describeCrash(simulation.failure))
    }
    this.#sumCoverage()
    return {
      seed: this.#options.seed,
      verdict,
      violations: this.#violations,
      traceHash: simulation.traceHash,
      simulatedMs: simulation.nowMs,
      events: simulation.events,
      operations:
        this.#history.operations +
        this.#registerHistory.length +
        this.#sessions.history.length +
        this.#merging.operations,
      acknowledged: this.#history.writes.filter(write => write.outcome === 'ok').length,
      faults: this.#faults.counts,
      coverage: this.#coverage,
    }
  }

  #violate(checker: string, message: string): void {
    if (this.#violations.length < 20) this.#violations.push({ checker, message })
    this.#simulation.tell(`VIOLATION ${checker}: ${message}`)
  }

  /** Runs async work on the simulation's time; false when it did not end in time. */
  async #drive(work: Promise<unknown>, withinMs: number): Promise<boolean> {
    let ended = false
    work.then(
      () => {
        ended = true
      },
      (error: unknown) => this.#simulation.fail(error),
    )
    return this.#simulation.run(this.#simulation.nowMs + withinMs, () => ended)
  }

  async #form(): Promise<boolean> {
    this.#cluster.start()
    const { client } = this.#cluster.newClient('c0')
    const work = async (): Promise<void> => {
      await client.ready({ timeoutMs: FORMING_MS / 2 })
      for (const { name, specification } of this.#options.tables)
        await client.createTable(name, specification, { timeoutMs: 10_000 })
      const { sessionClients, sessionTable } = this.#options
      if (sessionClients > 0) await client.createTable(SESSION_TABLE, sessionTable, { timeoutMs: 10_000 })
      await this.#merging.create(client)
      await this.#agreed.create(client)
    }
    const failed = { error: undefined as unknown }
    const ended = await this.#drive(
      work().catch((error: unknown) => {
        failed.error = error
      }),
      FORMING_MS,
    )
    if (this.#simulation.failure !== undefined) return true
    if (ended && failed.error === undefined) return true
    this.#violate('liveness', `the cluster did not form: ${describeError(failed.error)}`)
    return false
  }

  // ── safety phase ──

  async #workUnderFaults(): Promise<void> {
    const { clients, registerClients, safetyMs } = this.#options
    this.#working = true
    for (let i = 1; i <= clients; i++) this.#employ(`c${i}`)
    for (let i = 1; i <= registerClients; i++) {
      const client = new RegisterClient(this.#cluster, this.#random.fork(), `r${i}`, this.#registerHistory)
      this.#repeat(this.#random.fork(), 250, () => client.step())
    }
    this.#openSessions()
    for (const work of [this.#merging, this.#agreed])
      work.begin((random, everyMs, run) => this.#repeat(random, everyMs, run))
    this.#hireOperator()
    this.#faults.start()
    await this.#simulation.run(this.#simulation.nowMs + safetyMs)
  }

  #openSessions(): void {
    const random = new SeededRandom(this.#options.seed ^ 0x5e552)
    for (let i = 1; i <= this.#options.sessionClients; i++) {
      const client = new SessionClient(this.#cluster, random.fork(), `s${i}`, this.#sessions)
      this.#sessionClients.push(client)
      this.#repeat(random.fork(), 60, () => client.step())
    }
  }

  #hireOperator(): void {
    const { operatorEveryMs, nodes, tables } = this.#options
    if (operatorEveryMs === 0) return
    const operator = new Operator({
      cluster: this.#cluster,
      random: this.#random.fork(),
      autoRandom: new SeededRandom(this.#options.seed ^ 0xa070),
      destruction: this.#faults.destruction,
      membersMin: Math.max(...tables.map(table => table.n)),
      membersMax: nodes + 3,
      replaces: true,
      onNewcomer: machine => {
        this.#faults.watch(machine)
        machine.start()
      },
      onGone: machine => {
        this.#faults.gone.add(machine)
        for (const tag of this.#lastLedgers.get(machine) ?? []) this.#lostLedgers.add(tag)
      },
    })
    this.#operator = operator
    this.#repeat(this.#random.fork(), operatorEveryMs, () => operator.step())
  }

  #employ(name: string): Actor {
    const actor = new Actor({
      simulation: this.#simulation,
      history: this.#history,
      random: this.#random.fork(),
      machine: this.#cluster.newClient(name),
      timeoutMs: CLIENT_TIMEOUT_MS,
      onWritten: write =>
        this.#violations.push(...checkHolders(this.#cluster, write, this.#faults.destruction.destroyed)),
      onRead: () => {},
    })
    this.#actors.push(actor)
    const everyMs = (1_000 * this.#options.clients) / this.#options.operationsPerSecond
    const { tables } = this.#options
    this.#repeat(actor.random, everyMs, () =>
      step(actor, tables[Math.floor(randomUnit(actor.random) * tables.length)]!),
    )
    return actor
  }

  /** One step after another with pauses between; a step that never ends is left to itself. */
  #repeat(random: SeededRandom, everyMs: number, run: () => Promise<unknown>): void {
    const next = (): void => {
      this.#simulation.at(everyMs * 2 * randomUnit(random) * 1_000, () => {
        if (!this.#working) return
        let ended = false
        this.#stepsUnderWay++
        const end = (): void => {
          if (ended) return
          ended = true
          this.#stepsUnderWay--
          next()
        }
        run().then(end, (error: unknown) => this.#simulation.fail(error))
        this.#simulation.at(STUCK_MS * 1_000, end)
      })
    }
    next()
  }

  // ── liveness phase ──

  async #healAndConverge(): Promise<boolean> {
    this.#working = false
    this.#faults.heal()
    const simulation = this.#simulation
    // What clients are in the middle of ends first, so that nothing is written while it is judged.
    await simulation.run(simulation.nowMs + 2 * STUCK_MS, () => this.#stepsUnderWay === 0)
    const deadlineMs = simulation.nowMs + CONVERGE_MS
    let left = ['nothing was looked at']
    while (simulation.nowMs < deadlineMs && simulation.failure === undefined) {
      await simulation.run(simulation.nowMs + 1_000)
      if (!(await this.#operatorSettled())) {
        left = [this.#operator!.describe()]
        continue
      }
      left = differences(this.#cluster)
      // A flipped bit nobody has read yet is found by the scrub.
      if (left.length === 0 && !this.#faults.destruction.healed)
        left = ['damage is not found or not healed yet']
      if (left.length === 0) break
    }
    if (simulation.failure !== undefined) return true
    if (left.length > 0) {
      this.#violate('liveness', `not converged ${CONVERGE_MS / 1_000} s after healing: ${left.join('; ')}`)
      return false
    }
    simulation.tell('── converged ──')
    return this.#serveAgain()
  }

  async #operatorSettled(): Promise<boolean> {
    const operator = this.#operator
    if (operator === undefined) return true
    let settled = false
    const ended = await this.#drive(
      operator.settle().then(done => {
        settled = done
      }),
      10_000,
    )
    return ended && settled
  }

  /** With all faults gone every table takes a write and a read at the strongest level. */
  async #serveAgain(): Promise<boolean> {
    const actor = this.#actors[0]!
    const work = async (): Promise<void> => {
      for (const { name } of this.#options.tables) {
        const key = 'after-healing'
        const written = await actor.write(name, key, actor.newTag(), { w: 'all' })
        const found = await actor.read(name, key, 'all')
        if (written === undefined || found === undefined)
          this.#violate('liveness', `table ${name} does not serve after healing`)
      }
    }
    const ended = await this.#drive(work(), 60_000)
    if (!ended) this.#violate('liveness', 'operations after healing did not end')
    return ended && !this.#violations.some(violation => violation.checker === 'liveness')
  }

  // ── judgement ──

  async #judge(): Promise<void> {
    const rows = this.#history.byRow()
    const final = new Map<string, readonly string[]>()
    const reader = this.#actors[0]!
    reader.timeoutMs = 20_000
    const keys = [...rows.values()].map(({ table, key }) => ({ table, key }))
    const work = async (): Promise<void> => {
      for (const { table, key } of keys) {
        const found = await reader.read(table, key, 'all')
        if (found === undefined) this.#violate('liveness', `${table}/${key} cannot be read after healing`)
        else final.set(`${table}/${key}`, found.tags)
      }
    }
    if (!(await this.#drive(work(), 600_000))) this.#violate('liveness', 'the final reads did not end')
    const ledger = new Set(this.#lostLedgers)
    for (const machine of this.#cluster.machines) for (const tag of ledgerTags(machine)) ledger.add(tag)
    for (const machine of this.#cluster.retired)
      for (const tag of this.#lastLedgers.get(machine) ?? []) ledger.add(tag)
    const evidence: Evidence = {
      rows: this.#history.byRow(),
      tables: new Map(this.#options.tables.map(table => [table.name, tableFacts(table)])),
      final,
      ledger,
      destroyed: this.#faults.destruction.destroyed,
      moved: this.#operator !== undefined,
    }
    const checks = [checkNoLostWrite, checkOutcomes, checkNoResurrection, checkReceipts, checkMonotonicReads]
    for (const check of checks)
      for (const { checker, message } of check(evidence)) this.#violate(checker, message)
    await this.#judgeSessions()
    if (!(await this.#drive(this.#merging.read(), 600_000)))
      this.#violate('liveness', 'the final reads did not end')
    const destroyed = this.#faults.destruction.destroyed.length > 0
    const found = [...this.#merging.judge(destroyed), ...this.#agreed.judge()]
    for (const { checker, message } of found) this.#violate(checker, message)
    for (const { checker, message } of this.#maps.violations) this.#violate(checker, message)
    for (const { checker, message } of checkRegisters(this.#registerHistory)) this.#violate(checker, message)
  }

  async #judgeSessions(): Promise<void> {
    const operations = this.#sessions.history
    const [client] = this.#sessionClients
    if (client === undefined) return
    let final = new Map<string, number | undefined>()
    const work = async (): Promise<void> => {
      final = await client.final()
    }
    if (!(await this.#drive(work(), 600_000))) this.#violate('liveness', 'the final reads did not end')
    const destroyed = this.#faults.destruction.destroyed.length > 0
    const violations = [
      ...checkSessionGuarantees({ operations, final, destroyed }),
      ...checkCausalOrder(operations),
    ]
    for (const { checker, message } of violations) this.#violate(checker, message)
    const count = (what: (error: string | undefined) => boolean): number =>
      operations.filter(({ error }) => what(error)).length
    this.#coverage['operations of sessions'] = count(error => error === undefined)
    this.#coverage['not reached for sessions'] = count(error => error?.startsWith('SESSION_') === true)
  }

  #sumCoverage(): void {
    Object.assign(this.#coverage, this.#merging.coverage, this.#agreed.coverage)
    for (const [name, count] of Object.entries(this.#operator?.counts ?? {}))
      this.#coverage[`operator ${name}`] = count
    const history = this.#cluster.machines.flatMap(({ node }) => node?.control.changes.history ?? [])
    this.#coverage['tasks done'] = new Set(history.filter(e => e.outcome === 'done').map(e => e.id)).size
    this.#coverage['tasks cancelled'] = new Set(
      history.filter(e => e.outcome === 'cancelled').map(e => e.id),
    ).size
    for (const { node } of this.#cluster.machines) {
      if (node === undefined) continue
      for (const what of ['splits', 'merges'] as const)
        this.#coverage[`automatic ${what}`] = (this.#coverage[`automatic ${what}`] ?? 0) + node.splitter[what]
      for (const [name, count] of Object.entries(node.counters))
        this.#coverage[name] = (this.#coverage[name] ?? 0) + count
      this.#coverage.checkpoints = (this.#coverage.checkpoints ?? 0) + node.store.status().checkpoints
    }
    this.#coverage.ledger = this.#cluster.machines.reduce(
      (sum, { node }) => sum + (node?.context.ledger.count ?? 0),
      0,
    )
  }
}

function* ledgerTags(machine: SimMachine): Generator<string> {
  if (machine.node === undefined) return
  for (const { value } of machine.node.context.ledger.list(undefined, 0 as never, 1_000_000)) {
    if (value !== undefined) yield (decodeDocument(value) as { v: string }).v
  }
}

function tableFacts(table: SwarmOptions['tables'][number]): TableFacts {
  const { n, r, w, sloppy, readRepair } = table.specification.replication!
  return {
    name: table.name,
    n: n!,
    r: r!,
    w: w!,
    sloppy: sloppy!,
    blocking: readRepair === 'blocking',
    rule: table.specification.conflict!.kind,
  }
}

function describeCrash(failure: { readonly error: unknown; readonly atMs: number }): string {
  const { error } = failure
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error)
  const data = error instanceof Error && 'data' in error ? ` ${JSON.stringify(error.data)}` : ''
  return `at ${failure.atMs.toFixed(1)}: ${stack}${data}`
}
