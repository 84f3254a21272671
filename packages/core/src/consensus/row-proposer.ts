/**
 * A proposer of CASPaxos for one row: reads by a round, changes by a round, and nobody leads.
 *
 * Mechanism: prepare under a ballot of its own at every home; of what a quorum says is accepted, the greatest is the row;
 * what the change makes of it is proposed under the ballot to those that promised it. A quorum is more than half of the
 * homes, and while the partition moves more than half of the old ones and of the new ones. Two proposers of one row
 * refuse each other; each waits a while by chance and begins anew, with what the other may have done as its row.
 *
 * A read asks a quorum what it has accepted. When all say the same, that is what was chosen last: who chose something
 * later has a quorum that meets this one. Otherwise the greatest is proposed once more, as it is.
 *
 * Invariants: a ballot is proposed under once, with one value; nothing is answered that a quorum has not accepted; a
 * change whose round was not heard of to its end may have happened, unless a later round shows that it has not.
 * References: Rystsov, *CASPaxos* (2018); Lamport, *The part-time parliament* (1998).
 */

import { isQuorateError, QuorateError } from '../base/errors.ts'
import type { ByteString, NodeId, PeerId } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import { randomUnit } from '../base/prng.ts'
import type { TableView } from '../catalog/catalog.ts'
import { type Cell, type Dot, emptyCell } from '../cells/cell.ts'
import { decodeCell, encodeCell } from '../cells/cell-codec.ts'
import type { NodeContext } from '../leaderless/node-context.ts'
import { ballotOf, isOlder } from '../leaderless/row-promises.ts'
import { knowsBetter } from '../leaderless/write-flow.ts'
import type { Partition } from '../partitioning/partition-map.ts'
import { pause } from '../ports/pause.ts'
import { majorityOf, QuorumTally } from '../quorum/quorum-tally.ts'
import { rowAcceptMessage, rowPrepareMessage } from '../wire/agreed-messages.ts'
import { type Message, replicaReadMessage, replicaWriteMessage } from '../wire/messages.ts'
import { noRow, underBallot } from './row-change.ts'

export interface Agreed {
  readonly cell: Cell
  /** Homes that are known to have it. */
  readonly homes: readonly NodeId[]
  readonly partition: Partition
}

/** The row that is to be, under the ballot; undefined: it stays as it is, and the answer rests on that. */
export type RowChange = (row: Cell, ballot: Dot) => Cell | undefined

const BACKOFF_MS = 8
const BACKOFF_MAX_MS = 400

interface Asked<Reply> {
  readonly replies: ReadonlyMap<NodeId, Reply>
  readonly reached: boolean
}

export class RowProposer {
  readonly #node: NodeContext
  /** Rounds of one row at one node wait for each other: they would only refuse each other. */
  readonly #turns = new Map<ByteString, Promise<unknown>>()

  constructor(node: NodeContext) {
    this.#node = node
  }

  /** Rejects with READ_SHORT when no quorum answered in time. */
  read(view: TableView, key: ByteString, deadline: number): Promise<Agreed> {
    return this.#inTurn(key, async () => {
      const found = await this.#chosen(view, key, deadline)
      return found ?? this.#rounds(view, key, () => undefined, deadline, 'READ_SHORT')
    })
  }

  /** A round that changes nothing: afterwards all homes that take part are alike. */
  settle(view: TableView, key: ByteString, deadline: number): Promise<Agreed> {
    return this.#inTurn(key, () => this.#rounds(view, key, () => undefined, deadline, 'READ_SHORT'))
  }

  /** Rejects with WRITE_SHORT: `unknown` when the change may have been accepted somewhere. */
  change(view: TableView, key: ByteString, change: RowChange, deadline: number): Promise<Agreed> {
    return this.#inTurn(key, () => this.#rounds(view, key, change, deadline, 'WRITE_SHORT'))
  }

  #inTurn<T>(key: ByteString, work: () => Promise<T>): Promise<T> {
    const before = this.#turns.get(key) ?? Promise.resolve()
    const turn = before.then(work, work)
    const last = turn.catch(() => {})
    this.#turns.set(key, last)
    void last.then(() => {
      if (this.#turns.get(key) === last) this.#turns.delete(key)
    })
    return turn
  }

  /** What a quorum has accepted alike; undefined: they differ, or too few answered. */
  async #chosen(view: TableView, key: ByteString, deadline: number): Promise<Agreed | undefined> {
    const partition = this.#locate(view, key)
    const sets = partition.writeSets.map(members => members.filter(home => partition.replicas.includes(home)))
    const request = { table: view.descriptor.id, mapVersion: partition.version, key, fallback: false }
    const asked = await this.#ask(
      partition,
      partition.replicas,
      sets,
      replicaReadMessage,
      request,
      () => true,
      deadline,
    )
    if (!asked.reached) return undefined
    const cells = [...asked.replies.values()].map(({ cell }) =>
      cell === undefined ? emptyCell : decodeCell(cell),
    )
    const [first = emptyCell] = cells
    const ballot = ballotOf(first)
    const isAlike = (cell: Cell): boolean =>
      !isOlder(ballotOf(cell), ballot) && !isOlder(ballot, ballotOf(cell))
    if (!cells.every(isAlike)) return undefined
    // A row that nobody has: a value may be on its way to a quorum, chosen after this by whoever proposes it.
    return { cell: first, homes: [...asked.replies.keys()], partition }
  }

  async #rounds(
    view: TableView,
    key: ByteString,
    change: RowChange,
    deadline: number,
    short: 'READ_SHORT' | 'WRITE_SHORT',
  ): Promise<Agreed> {
    let isProposed = false
    for (let attempt = 0; ; attempt++) {
      const done = await this.#attempt(view, key, change, deadline, isProposed, () => {
        isProposed = true
      })
      if (done !== undefined) return done
      const waitMs =
        Math.min(BACKOFF_MAX_MS, BACKOFF_MS * 2 ** Math.min(attempt, 6)) * randomUnit(this.#node.random)
      if (this.#node.clock.monotonicMs() + waitMs >= deadline)
        throw new QuorateError(short, 'no quorum of the row’s homes agreed in time', {
          outcome: isProposed && short === 'WRITE_SHORT' ? 'unknown' : 'not-applied',
        })
      await pause(this.#node.clock, waitMs)
    }
  }

  /** What the change throws is of this row; an earlier ballot may still be chosen by others, and is not excused by that. */
  async #attempt(
    view: TableView,
    key: ByteString,
    change: RowChange,
    deadline: number,
    wasProposed: boolean,
    proposing: () => void,
  ): Promise<Agreed | undefined> {
    try {
      return await this.#round(view, key, change, deadline, wasProposed, proposing)
    } catch (error) {
      if (!wasProposed || !isQuorateError(error) || error.outcome !== 'not-applied') throw error
      const { code, message, data } = error
      throw new QuorateError(code, message, { data, outcome: 'unknown', cause: error })
    }
  }

  /** One ballot. Undefined: it came to nothing, or nobody knows. `proposing`: from here on the change may happen. */
  async #round(
    view: TableView,
    key: ByteString,
    change: RowChange,
    deadline: number,
    wasProposed: boolean,
    proposing: () => void,
  ): Promise<Agreed | undefined> {
    const { hybrid, store } = this.#node
    const partition = this.#locate(view, key)
    const address = { table: view.descriptor.id, mapVersion: partition.version, key }
    const ballot: Dot = { actor: store.incarnation, stamp: hybrid.mint() }
    const isTaken = ({ higher }: { readonly higher: Dot | undefined }): boolean => {
      if (higher !== undefined) this.#observe(higher)
      return higher === undefined
    }
    const { holders, writeSets } = partition
    const promises = await this.#ask(
      partition,
      holders,
      writeSets,
      rowPrepareMessage,
      { ...address, ballot },
      isTaken,
      deadline,
    )
    if (!promises.reached) return undefined
    let row = emptyCell
    for (const { cell } of promises.replies.values()) {
      const one = cell === undefined ? emptyCell : decodeCell(cell)
      if (isOlder(ballotOf(row), ballotOf(one))) row = one
    }
    const next = change(row, ballot)
    const isSame = next === undefined
    // Nobody of a quorum has it, and nobody can choose an older one any more: there is no such row. Unless one of the
    // change's own ballots is accepted by somebody: then that there is none must be agreed on, too.
    if (isSame && row.values.length === 0 && !wasProposed)
      return { cell: row, homes: [...promises.replies.keys()], partition }
    const proposed = next ?? (row.values.length === 0 ? noRow(ballot) : underBallot(row, ballot))
    if (!isSame) proposing()
    const promisers = [...promises.replies.keys()]
    const request = { ...address, cell: encodeCell(proposed) }
    const accepted = await this.#ask(
      partition,
      promisers,
      writeSets,
      rowAcceptMessage,
      request,
      isTaken,
      deadline,
    )
    if (!accepted.reached) return undefined
    this.#teach(view, partition, request, accepted.replies)
    return { cell: proposed, homes: [...accepted.replies.keys()], partition }
  }

  /** Homes that were not needed hear of it, too: a late message to accept. Those that do not, by the next sweep. */
  #teach(
    view: TableView,
    { holders, version }: Partition,
    { key, cell }: { readonly key: ByteString; readonly cell: Uint8Array },
    known: ReadonlyMap<NodeId, unknown>,
  ): void {
    const { rpc, hybrid } = this.#node
    const others = holders.filter(home => !known.has(home)).map(home => home as string as PeerId)
    if (others.length === 0) return
    const asOf = hybrid.peek()
    const message = {
      table: view.descriptor.id,
      mapVersion: version,
      kind: 'repair' as const,
      key,
      cell,
      asOf,
    }
    rpc.call(others, replicaWriteMessage, message, limits.replicaTimeoutMs, () => {})
  }

  #observe({ stamp }: Dot): void {
    try {
      this.#node.hybrid.observe(stamp, 'a ballot')
    } catch (error) {
      // A clock far ahead: this proposer waits until its own has come there.
      if (!isQuorateError(error)) throw error
    }
  }

  #locate(view: TableView, key: ByteString): Partition {
    const now = this.#node.catalog.find(view.descriptor.id) ?? view
    return now.map.locate(key)
  }

  /** Ends when more than half of each set have answered `isGood`, when that cannot be any more, or when time is up. */
  #ask<Request, Reply>(
    partition: Partition,
    homes: readonly NodeId[],
    sets: readonly (readonly NodeId[])[],
    message: Message<Request, Reply>,
    request: Request,
    isGood: (reply: Reply) => boolean,
    deadline: number,
  ): Promise<Asked<Reply>> {
    const node = this.#node
    const tally = new QuorumTally<NodeId>(
      sets.map((members, at) => ({
        members,
        needed: majorityOf(partition.writeSets[at]!.length),
      })),
    )
    for (const home of new Set(sets.flat())) if (!homes.includes(home)) tally.fail(home)
    const replies = new Map<NodeId, Reply>()
    const timeoutMs = Math.max(1, Math.min(limits.replicaTimeoutMs, deadline - node.clock.monotonicMs()))
    return new Promise(resolve => {
      const settle = (): void => {
        const state = tally.state()
        if (state !== 'pending') resolve({ replies: new Map(replies), reached: state === 'reached' })
      }
      if (homes.length === 0) return settle()
      const peers = homes.map(home => home as string as PeerId)
      node.rpc.call(peers, message, request, timeoutMs, (from, reply, error) => {
        const home = from as string as NodeId
        if (error !== undefined && knowsBetter(error, partition))
          void node.catchUp(partitionTable(request), partition.chunk, from).then(() => {
            tally.fail(home)
            settle()
          })
        else {
          if (error === undefined && isGood(reply!)) {
            replies.set(home, reply!)
            tally.ack(home)
          } else tally.fail(home)
          settle()
        }
      })
    })
  }
}

/** Every request names its table. */
const partitionTable = (request: unknown): TableView['descriptor']['id'] =>
  (request as { readonly table: TableView['descriptor']['id'] }).table
