/**
 * Who coordinates a request: a home of its row. A node that is none hands it on, and stands in only when no home could
 * take it. The operation id makes a second try safe.
 */

import { QuorateError } from '../base/errors.ts'
import type { ByteString, PeerId } from '../base/ids.ts'
import type { TableView } from '../catalog/catalog.ts'
import type { Partition } from '../partitioning/partition-map.ts'
import { asQuorateError } from '../wire/error-schema.ts'
import type { Message, WireReceipt } from '../wire/messages.ts'
import type { Respond } from '../wire/rpc.ts'
import { handedOn } from './handed-on.ts'
import type { NodeContext } from './node-context.ts'
import { guarded, type PartitionDoors, type Routed } from './partition-doors.ts'

const HOPS_MAX = 2
const FORWARD_SHARE_MS = 1_500

export class Forwarder {
  readonly #node: NodeContext
  readonly #doors: PartitionDoors

  constructor(node: NodeContext, doors: PartitionDoors) {
    this.#node = node
    this.#doors = doors
  }

  /**
   * Homes coordinate; any other node hands the request to a home, and only then may stand in for one. When a
   * home knows a newer version of the partition, this node learns it and begins `anew`.
   */
  coordinateOrForward<
    Request extends { hops: number; mapVersion: number },
    Reply extends { receipt: WireReceipt },
  >(
    message: Message<Request, Reply>,
    request: Request,
    respond: Respond<Reply>,
    { view, partition }: Routed,
    key: ByteString,
    deadline: number,
    coordinate: () => void,
    standIn: ((respond: Respond<Reply>) => void) | undefined,
    anew: (routed: Routed, request: Request) => void,
  ): void {
    const { self, clock, rpc, counters } = this.#node
    if (partition.replicas.includes(self)) return coordinate()
    if (request.hops >= HOPS_MAX)
      throw new QuorateError(
        'NOT_REPLICA',
        `${self} is no home of this row, and the request has been handed on enough`,
      )
    const homes = partition.replicas.filter(home => !this.#node.isSuspected(home))
    const attempts: string[] = []
    let maybeApplied = false
    /** Once a home may have taken the write, no answer of another makes it not applied. */
    const honest: Respond<Reply> = {
      ok: reply => respond.ok(reply),
      fail: error => respond.fail(maybeApplied ? asUnknown(error) : error),
    }
    const tryNext = (at: number): void => {
      const home = homes[at]
      const leftMs = deadline - clock.monotonicMs()
      if (home === undefined || leftMs <= 0) {
        if (standIn !== undefined && leftMs > 0) return standIn(honest)
        const message = `none of the home replicas ${partition.replicas.join(', ')} could take the request`
        return honest.fail(new QuorateError('UNAVAILABLE', message, { attempts }))
      }
      counters.forwarded++
      const timeoutMs = Math.min(leftMs, at + 1 < homes.length ? FORWARD_SHARE_MS : leftMs)
      rpc.call(
        [home as string as PeerId],
        message,
        { ...request, hops: request.hops + 1 },
        timeoutMs,
        (peer, reply, error) => {
          if (error === undefined) return respond.ok(handedOn(reply as Reply, self))
          attempts.push(`${home}: ${error.code}`)
          maybeApplied ||= error.outcome === 'unknown'
          if (error.code === 'STALE_MAP' && !maybeApplied) {
            return void this.#node
              .catchUp(view.descriptor.id, partition.chunk, peer)
              .then(() => guarded(honest, () => this.#begin(view, partition, key, request, anew, error)))
          }
          // The operation id makes a second try safe; only what another home could answer better is tried again.
          if (
            error.code === 'UNREACHABLE' ||
            error.code === 'DEADLINE' ||
            error.code === 'OVERLOADED' ||
            error.code === 'NOT_READY'
          ) {
            return guarded(honest, () => tryNext(at + 1))
          }
          honest.fail(error)
        },
      )
    }
    tryNext(0)
  }

  /** Begins a request anew under the version of its partition that is known now; there must be a newer one. */
  #begin<Request extends { mapVersion: number }>(
    { descriptor }: TableView,
    before: Partition,
    key: ByteString,
    request: Request,
    anew: (routed: Routed, request: Request) => void,
    cause: QuorateError,
  ): void {
    const view = this.#doors.view(descriptor.id)
    const partition = view.map.locate(key)
    if (partition.version <= before.version) throw cause
    anew({ view, partition }, { ...request, mapVersion: partition.version })
  }
}

function asUnknown(error: unknown): QuorateError {
  const known = asQuorateError(error)
  const { code, message, data, attempts } = known
  return new QuorateError(code, message, { outcome: 'unknown', data, attempts, cause: known })
}
