/**
 * A replica of a consensus table as an acceptor of CASPaxos, row by row.
 *
 *   prepare(b)   when b is greater than what is promised or accepted: promised, and what is accepted is told
 *   accept(b, v) when exactly b is promised: accepted
 *
 * *Exactly*: a replica that has lost its disk has lost its promises, too, and must not accept under a ballot that it may
 * have promised to refuse. It accepts only what it has promised since; what it had accepted it has back from the others
 * before it answers anything (node/rebuild.ts).
 *
 * What was accepted elsewhere and comes by a sweep, a repair or a move is a late message to accept it, and is taken unless
 * a greater ballot is promised (`RowStore.merge`).
 *
 * Invariants: nothing is told before it is durable; of the ballots of a row those accepted here ascend.
 * References: Rystsov, *CASPaxos: Replicated State Machines without logs* (2018).
 */

import { QuorateError } from '../base/errors.ts'
import type { ByteString } from '../base/ids.ts'
import type { TableView } from '../catalog/catalog.ts'
import { assertKeyOf } from '../catalog/catalog.ts'
import { isAgreed } from '../catalog/table-descriptor.ts'
import { compareDots, type Dot, sameDot } from '../cells/cell.ts'
import { decodeCell } from '../cells/cell-codec.ts'
import { promiseFloorOf } from '../leaderless/losses.ts'
import type { NodeContext } from '../leaderless/node-context.ts'
import type { PartitionDoors } from '../leaderless/partition-doors.ts'
import { ballotOf, isOlder, promisedFor, promiseOf } from '../leaderless/row-promises.ts'
import type { Partition } from '../partitioning/partition-map.ts'
import { rowAcceptMessage, rowPrepareMessage } from '../wire/agreed-messages.ts'

export function serveRowAcceptor(node: NodeContext, doors: PartitionDoors): void {
  const { rpc, rows, store, hybrid } = node

  const admitted = (view: TableView, partition: Partition): void => {
    if (!isAgreed(view.descriptor))
      throw new QuorateError('BAD_REQUEST', `the rows of "${view.descriptor.name}" are not agreed on`)
    if (!partition.holders.includes(node.self))
      throw new QuorateError('NOT_REPLICA', `${node.self} is not a home of this row`)
    // A store that the cluster does not know yet is one that was lost: what it held was another one's promise.
    const isKnown = node.catalog.member(node.self)?.incarnation === store.incarnation
    if (!isKnown || (partition.replicas.includes(node.self) && !node.isReady(view, partition)))
      throw new QuorateError('NOT_READY', `${node.self} is fetching the rows of this partition`)
  }

  const acceptedAt = (
    key: ByteString,
  ): { readonly ballot: Dot | undefined; readonly bytes: Uint8Array | undefined } => {
    const bytes = rows.read(key)
    return { bytes, ballot: bytes === undefined ? undefined : ballotOf(decodeCell(bytes)) }
  }

  const floorDot = (): Dot | undefined => {
    const stamp = promiseFloorOf(store)
    return stamp === 0 ? undefined : { stamp, actor: store.incarnation }
  }

  rpc.handle(rowPrepareMessage, (request, respond, from) => {
    assertKeyOf(doors.view(request.table), request.key)
    doors.at(request, request.key, respond, from, ({ view, partition }) => {
      admitted(view, partition)
      const { key, ballot } = request
      hybrid.observe(ballot.stamp, 'a ballot')
      const { ballot: accepted, bytes } = acceptedAt(key)
      const promised = promisedFor(store, key)
      const last = greatest(promised, accepted, floorDot())
      const isAgain = promised !== undefined && sameDot(promised, ballot)
      if (!isAgain && !isOlder(last, ballot)) return respond.ok({ higher: last, cell: undefined })
      if (!isAgain) store.commit([promiseOf(key, ballot)])
      // What is accepted may still be on its way to the disk; told, it counts.
      store.whenDurable(store.handed, () => respond.ok({ higher: undefined, cell: bytes }))
    })
  })

  rpc.handle(rowAcceptMessage, (request, respond, from) => {
    const { key, cell } = request
    assertKeyOf(doors.view(request.table), key)
    const ballot = ballotOf(decodeCell(cell))
    if (ballot === undefined) throw new QuorateError('BAD_REQUEST', 'there is nothing in it to accept')
    doors.at(request, key, respond, from, ({ view, partition }) => {
      admitted(view, partition)
      const { ballot: accepted } = acceptedAt(key)
      const promised = promisedFor(store, key)
      const isAccepted = accepted !== undefined && sameDot(accepted, ballot)
      if (!isAccepted && (promised === undefined || compareDots(promised, ballot) !== 0)) {
        const higher = isOlder(promised, accepted) ? accepted : promised
        // Without any: the promise went with a disk. Nothing greater is known, and nothing is accepted.
        return respond.ok({ higher: higher ?? ballot })
      }
      const { position } = rows.merge(view, key, cell)
      store.whenDurable(position, () => respond.ok({ higher: undefined }))
    })
  })
}

const greatest = (...ballots: readonly (Dot | undefined)[]): Dot | undefined =>
  ballots.reduce((a, b) => (isOlder(a, b) ? b : a), undefined)
