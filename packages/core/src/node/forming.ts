/**
 * Runs the genesis state machine (`register/genesis.ts`) on this node's store and network: how the voters of
 * the configuration agree, once, that they are a cluster.
 *
 * What the machine wants kept is durable before it goes on, and the proposer starts only when the acceptor
 * here has durably adopted the first config. A store that is full takes both later: they are tried again.
 */

import { isQuorateError } from '../base/errors.ts'
import type { ByteString, NodeId, PeerId } from '../base/ids.ts'
import type { Clock, Timer } from '../ports/clock.ts'
import type { AcceptorHost } from '../register/acceptor-host.ts'
import {
  decodeGenesis,
  encodeGenesis,
  type Genesis,
  type GenesisEvent,
  type GenesisOutput,
  type GenesisState,
  genesisSettled,
  startGenesis,
  stepGenesis,
} from '../register/genesis.ts'
import { firstConfig, type RegisterConfig } from '../register/register-config.ts'
import { keyspaces } from '../store/keyspace.ts'
import { DAMAGED, type Store } from '../store/store-face.ts'
import { genesisMessage } from '../wire/messages.ts'
import type { Rpc } from '../wire/rpc.ts'
import { initialVoters, type NodeConfig } from './node-config.ts'

const GENESIS_KEY = `${keyspaces.meta}genesis` as ByteString
const TICK_MS = 250

export interface FormingOptions {
  readonly config: NodeConfig
  readonly store: Store
  readonly rpc: Rpc
  readonly clock: Clock
  readonly acceptor: AcceptorHost
  /** The registers may start, with this config or a newer one. */
  readonly onFormed: (config: RegisterConfig) => void
  readonly onTrouble: (message: string) => void
}

export class Forming {
  readonly #options: FormingOptions
  readonly #first: readonly GenesisOutput[]
  #state: GenesisState
  #timer: Timer | undefined
  #retry: Timer | undefined
  #running = false
  #voters: RegisterConfig | undefined

  constructor(options: FormingOptions) {
    this.#options = options
    const { config, store, rpc } = options
    const { state, outputs } = startGenesis(
      { node: config.id, incarnation: store.incarnation },
      config.join === undefined ? initialVoters(config.members) : [],
      storedGenesis(store),
    )
    this.#state = state
    this.#first = outputs
    rpc.handle(genesisMessage, (request, _, from) => {
      if (!config.members.some(member => member.id === (from as string))) return
      this.#step({ kind: 'message', from: from as string as NodeId, message: request.body })
    })
  }

  /** This node has joined a cluster: what that was formed with, and who holds its registers now. */
  joined(from: NodeId, genesis: Genesis, voters: RegisterConfig): void {
    this.#voters = voters
    const { incarnation } = this.#state.self
    this.#step({ kind: 'message', from, message: { kind: 'hello', incarnation, echo: undefined, genesis } })
  }

  /** What the cluster was formed with, also when this node was no part of it. */
  get origin(): Genesis | undefined {
    return this.#state.genesis ?? this.#state.outside?.genesis
  }

  /** What was agreed, once this node has it. */
  get genesis(): Genesis | undefined {
    return this.#state.genesis
  }

  get clusterId(): string {
    return (this.#state.genesis ?? this.#state.outside?.genesis)?.clusterId ?? ''
  }

  start(): void {
    this.#running = true
    this.#perform(this.#first)
    this.#tick()
  }

  stop(): void {
    this.#running = false
    this.#timer?.cancel()
    this.#retry?.cancel()
  }

  #tick(): void {
    if (!this.#running) return
    this.#step({ kind: 'tick' })
    if (this.origin === undefined) this.#askOthers()
    // Others may still be forming: answer them now and then for as long as we live.
    const waitMs = genesisSettled(this.#state) ? 20 * TICK_MS : TICK_MS
    this.#timer = this.#options.clock.setTimer(waitMs, () => this.#tick())
  }

  /** Of the voters that were to form the cluster none may be left: members that are no voters know it, too. */
  #askOthers(): void {
    const { config, rpc } = this.#options
    const { self, voters } = this.#state
    const body = {
      kind: 'hello' as const,
      incarnation: self.incarnation,
      echo: undefined,
      genesis: undefined,
    }
    for (const { id } of config.members)
      if (id !== self.node && !voters.includes(id)) rpc.tell(id as string as PeerId, genesisMessage, { body })
  }

  #step(event: GenesisEvent): void {
    if (!this.#running) return
    const { state, outputs } = stepGenesis(this.#state, event)
    this.#state = state
    this.#perform(outputs)
  }

  #perform(outputs: readonly GenesisOutput[]): void {
    const { rpc, acceptor, onFormed, onTrouble } = this.#options
    for (const output of outputs) {
      switch (output.kind) {
        case 'send':
          rpc.tell(output.to as string as PeerId, genesisMessage, { body: output.message })
          break
        case 'persist':
          this.#persist(output.genesis)
          break
        case 'member':
          this.#adopt(output.config)
          break
        case 'outsider':
          onFormed(acceptor.config ?? this.#voters ?? firstConfig(output.genesis.voters))
          break
        case 'conflict':
          onTrouble(
            `this store belongs to cluster ${output.mine.clusterId}, but ${output.peer} to ${output.theirs.clusterId}: one of the two must be wiped`,
          )
      }
    }
  }

  #persist(genesis: Genesis): void {
    const { store } = this.#options
    try {
      const position = store.commit([{ key: GENESIS_KEY, value: encodeGenesis(genesis) }])
      store.whenDurable(position, () => this.#step({ kind: 'persisted' }))
    } catch (error) {
      if (!isQuorateError(error)) throw error
      this.#later(() => this.#persist(genesis))
    }
  }

  #adopt(config: RegisterConfig): void {
    const { acceptor, onFormed } = this.#options
    acceptor.adopt(config, reply => {
      if (!this.#running) return
      if (reply.kind === 'unavailable') this.#later(() => this.#adopt(config))
      else onFormed(acceptor.config ?? config)
    })
  }

  /** One thing is wanted at a time: what is to be kept before the acceptor adopts. */
  #later(run: () => void): void {
    this.#retry = this.#options.clock.setTimer(TICK_MS, () => {
      if (this.#running) run()
    })
  }
}

function storedGenesis(store: Store): Genesis | undefined {
  const stored = store.get(GENESIS_KEY)
  return stored === undefined || stored === DAMAGED ? undefined : decodeGenesis(stored)
}

/** Did the node of this store take part in forming its cluster? */
export const hasGenesis = (store: Store): boolean => storedGenesis(store) !== undefined
