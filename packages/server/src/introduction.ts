/**
 * Before a node that joins speaks in its own name, it asks as nobody whether it may have that name.
 *
 * Problem: connections are known by the node that says hello on them. A newcomer with the id of a living
 * member, or a removed node that was given back its old disk, would be taken for that member. Mechanism: the
 * request to join goes over a transport without a name; the transport with the name is attached only after a
 * member has said yes. A node whose store knows members asks each of them once and goes on when none answers:
 * it may be the one that the others wait for.
 */

import { NodeClock, noIncarnation, TcpTransport } from '@quorate/client/node-transport'
import {
  type Incarnation,
  isQuorateError,
  type JoinConfig,
  joinMessage,
  type NodeConfig,
  nodeId,
  type OperationId,
  type PeerId,
  pause,
  QuorateError,
  Rpc,
  randomByteString,
} from '@quorate/core'
import { nodeRandom } from './adapters/node-random.ts'

const ASK_MS = 5_000
const AGAIN_MS = 500
/** What asking again does not mend. */
const REFUSALS: ReadonlySet<string> = new Set(['WRONG_CLUSTER', 'CONFLICT', 'BAD_REQUEST'])

export interface IntroductionOptions {
  readonly config: NodeConfig & { readonly join: JoinConfig }
  readonly incarnation: Incarnation
  /** The store has been in the cluster before. */
  readonly isKnown: boolean
  readonly onTrouble: (address: string, error: QuorateError) => void
}

export class Introduction {
  readonly #options: IntroductionOptions
  readonly #clock = new NodeClock()
  readonly #transport: TcpTransport
  readonly #rpc: Rpc
  #stopped = false

  constructor(options: IntroductionOptions) {
    this.#options = options
    const identity = { node: nodeId(''), incarnation: noIncarnation, cluster: '' }
    this.#transport = new TcpTransport({ identity })
    this.#rpc = new Rpc(this.#transport, this.#clock)
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#rpc.close()
    await this.#transport.close()
  }

  /** Returns when the node may speak, is refused, or was stopped. */
  async ask(): Promise<'welcome' | 'stopped' | QuorateError> {
    const { config, isKnown, onTrouble } = this.#options
    const operation = randomByteString(nodeRandom(), 16) as OperationId
    const { seeds } = config.join
    for (let turn = 0; !this.#stopped; turn++) {
      const seed = seeds[turn % seeds.length]!
      try {
        await this.#askOne(seed, operation)
        return 'welcome'
      } catch (error) {
        if (!isQuorateError(error)) throw error
        if (REFUSALS.has(error.code))
          return new QuorateError(
            error.code,
            `${seed.address} refuses to let ${config.id} join: ${error.message}`,
            { data: error.data },
          )
        onTrouble(seed.address, error)
      }
      if (isKnown && turn + 1 >= seeds.length) return 'welcome'
      await pause(this.#clock, AGAIN_MS)
    }
    return 'stopped'
  }

  async #askOne(
    { peer, address: asked }: { readonly peer: PeerId; readonly address: string },
    operation: OperationId,
  ): Promise<void> {
    const { config, incarnation } = this.#options
    const { cluster, newZone } = config.join
    const { id, address, http, zone, region, weight } = config.members[0]!
    this.#rpc.route(peer, asked)
    const request = {
      operation,
      cluster,
      node: id,
      incarnation,
      address,
      http,
      zone,
      region,
      weight,
      newZone,
    }
    await this.#rpc.request(peer, joinMessage, request, ASK_MS)
  }
}
