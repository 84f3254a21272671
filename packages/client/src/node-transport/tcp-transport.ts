/**
 * The transport over TCP: connections to peers by address, made when something is sent to them; and, when
 * it listens, connections that peers and clients make to us. A reply goes back over any open connection
 * with its peer. Clients have no address: their peer id is made up per connection.
 */

import { createServer, connect as dial, isIPv4, type Server, type Socket } from 'node:net'
import {
  type FrameReceiver,
  type Hello,
  type Incarnation,
  limits,
  type NodeId,
  type PeerId,
  QuorateError,
  type Transport,
} from '@quorate/core'
import { Connection } from './connection.ts'

export interface TcpIdentity {
  /** Node id, or '' for a client. */
  readonly node: NodeId
  readonly incarnation: Incarnation
  readonly cluster: string
}

export interface TcpTransportOptions {
  readonly identity: TcpIdentity
  /** Told of every connection that could not be made or was refused: again and again while it goes on. */
  readonly onRefused?: (peer: string, error: QuorateError) => void
  /** Told of every connection made to a peer that is the one it should be. */
  readonly onReached?: (peer: string) => void
}

/** A peer label that is not a node id: the node behind it is learned from its hello. */
const SEED = 'seed:'
/** After a failed connect, sends to the peer are dropped at once for this long. */
const REDIAL_MS = 200
const CONNECT_TIMEOUT_MS = 2_000

interface Peer {
  address: string | undefined
  readonly connections: Set<Connection>
  dialing: boolean
  retryAt: number
  /** Frames that wait for the first connection. */
  queue: Uint8Array[]
  queuedBytes: number
}

export const noIncarnation = '\0\0\0\0\0\0\0\0' as Incarnation

export class TcpTransport implements Transport {
  readonly #identity: TcpIdentity
  readonly #onRefused: (peer: string, error: QuorateError) => void
  readonly #onReached: (peer: string) => void
  readonly #peers = new Map<PeerId, Peer>()
  #receiver: FrameReceiver | undefined
  #server: Server | undefined
  /** Address it listens on. */
  #host: string | undefined
  #nextClient = 1
  #open = 0
  #closed = false

  constructor(options: TcpTransportOptions) {
    this.#identity = options.identity
    this.#onRefused = options.onRefused ?? (() => {})
    this.#onReached = options.onReached ?? (() => {})
  }

  serve(receiver: FrameReceiver): void {
    this.#receiver = receiver
  }

  route(peer: PeerId, address: string): void {
    const known = this.#peer(peer)
    if (known.address === address) return
    known.address = address
    known.retryAt = 0
  }

  /** Listens for peers and clients; resolves with the port. Rejects with the system's error (EADDRINUSE…). */
  listen(host: string, port: number): Promise<number> {
    return new Promise((resolve, reject) => {
      const server = createServer(socket => this.#accept(socket))
      server.once('error', reject)
      server.listen({ host, port }, () => {
        server.removeListener('error', reject)
        server.on('error', error => this.#onRefused('listener', new QuorateError('INTERNAL', error.message)))
        this.#server = server
        this.#host = host
        const address = server.address()
        resolve(typeof address === 'object' && address !== null ? address.port : port)
      })
    })
  }

  get openConnections(): number {
    return this.#open
  }

  send(to: PeerId, frame: Uint8Array): void {
    if (this.#closed) return
    const peer = this.#peers.get(to)
    if (peer === undefined) return this.#unreachableSoon(to)
    for (const connection of peer.connections) {
      // Past the bound the frame is lost, as frames may be: requests have deadlines, and the heap a limit.
      if (connection.bufferedBytes + frame.length <= limits.sendBufferBytesMax) connection.send(frame)
      return
    }
    const mayDial = peer.dialing || performance.now() >= peer.retryAt
    if (peer.address === undefined || !mayDial) return this.#unreachableSoon(to)
    if (peer.queuedBytes + frame.length > limits.sendBufferBytesMax) return
    peer.queue.push(frame)
    peer.queuedBytes += frame.length
    if (!peer.dialing) this.#dial(to, peer)
  }

  #peer(id: PeerId): Peer {
    let peer = this.#peers.get(id)
    if (peer === undefined) {
      peer = {
        address: undefined,
        connections: new Set(),
        dialing: false,
        retryAt: 0,
        queue: [],
        queuedBytes: 0,
      }
      this.#peers.set(id, peer)
    }
    return peer
  }

  #unreachableSoon(peer: PeerId): void {
    setImmediate(() => {
      if (this.#closed) return
      // It is said of all that is open to this peer: also of what waits for a dial begun since, and will be sent.
      const known = this.#peers.get(peer)
      const isIdle = known === undefined || (known.connections.size === 0 && !known.dialing)
      this.#receiver?.unreachable(peer, isIdle)
    })
  }

  #dial(id: PeerId, peer: Peer): void {
    peer.dialing = true
    const at = peer.address!.lastIndexOf(':')
    const host = peer.address!.slice(0, at)
    // From the address it is known by: what cuts a node off then cuts its own connections off, too.
    const own =
      this.#host !== undefined && isIPv4(this.#host) && isIPv4(host) ? { localAddress: this.#host } : {}
    const socket = dial({ host, port: Number(peer.address!.slice(at + 1)), ...own })
    socket.setTimeout(CONNECT_TIMEOUT_MS, () => socket.destroy())
    const connection: Connection = new Connection(socket, this.#identity, {
      hello: hello => {
        socket.setTimeout(0)
        const wrong = this.#wrongPeer(id, hello)
        if (wrong !== undefined) return connection.fail(wrong.code, wrong.message)
        peer.dialing = false
        peer.connections.add(connection)
        this.#onReached(id)
        const queue = peer.queue
        peer.queue = []
        peer.queuedBytes = 0
        for (const frame of queue) connection.send(frame)
      },
      frame: frame => this.#receiver?.frame(id, frame),
      closed: error => {
        const wasMade = peer.connections.has(connection)
        const why = error ?? (wasMade ? undefined : silent(peer.address))
        // A connection that was made and is lost is no refusal: the next dial tells.
        const isLoss = wasMade && why?.code === 'UNREACHABLE'
        if (why !== undefined && !isLoss && !this.#closed) this.#onRefused(id, why)
        peer.dialing = false
        peer.retryAt = performance.now() + REDIAL_MS
        this.#lost(id, peer, connection, !wasMade)
      },
    })
  }

  #wrongPeer(id: PeerId, hello: Hello): QuorateError | undefined {
    if (id.startsWith(SEED) || hello.node === (id as string)) return undefined
    return new QuorateError('WRONG_CLUSTER', `the node at this address is "${hello.node}", not "${id}"`)
  }

  #accept(socket: Socket): void {
    if (this.#open >= limits.connectionsMax) {
      this.#onRefused(
        'listener',
        new QuorateError('OVERLOADED', `already ${limits.connectionsMax} connections`),
      )
      socket.destroy()
      return
    }
    this.#open++
    let id: PeerId | undefined
    const connection: Connection = new Connection(socket, this.#identity, {
      hello: hello => {
        id = (hello.node === '' ? `client#${this.#nextClient++}` : hello.node) as string as PeerId
        this.#peer(id).connections.add(connection)
        if (hello.node !== '') this.#onReached(id)
      },
      frame: frame => this.#receiver?.frame(id!, frame),
      closed: error => {
        this.#open--
        if (error !== undefined && error.code !== 'UNREACHABLE')
          this.#onRefused(id ?? `${socket.remoteAddress ?? 'peer'}`, error)
        if (id === undefined) return
        this.#lost(id, this.#peer(id), connection, false)
        if (id.startsWith('client#')) this.#peers.delete(id)
      },
    })
  }

  /** What was sent over a connection is reported lost with it: what is open after that has not left. */
  #lost(id: PeerId, peer: Peer, connection: Connection, nothingSent: boolean): void {
    peer.connections.delete(connection)
    if (peer.connections.size > 0) return
    peer.queue = []
    peer.queuedBytes = 0
    if (!this.#closed) this.#receiver?.unreachable(id, nothingSent)
  }

  async close(): Promise<void> {
    this.#closed = true
    for (const peer of this.#peers.values()) for (const connection of peer.connections) connection.end()
    const server = this.#server
    if (server !== undefined) await new Promise<void>(resolve => server.close(() => resolve()))
  }
}

/** Is the peer known by its address only? */
export const isSeed = (peer: PeerId): boolean => peer.startsWith(SEED)

export const seedPeer = (address: string): PeerId => `${SEED}${address}` as PeerId

const silent = (address: string | undefined): QuorateError =>
  new QuorateError('UNREACHABLE', `no answer from ${address ?? 'its address'}`)
