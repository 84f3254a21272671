/**
 * The transport of a node, attached when it may speak: the node needs it before the store has told the
 * incarnation that the hello names, and one that joins waits until it may have its name.
 *
 * What goes to a seed (an address, before it is known which node is there) goes over a transport without a
 * name, and on connections of its own: what comes over them is not taken for what a member says, and members
 * do not answer a named node there.
 */

import { isSeed, noIncarnation, TcpTransport } from '@quorate/client/node-transport'
import { type FrameReceiver, nodeId, type PeerId, type Transport } from '@quorate/core'

export class LateTransport implements Transport {
  readonly #nameless = new TcpTransport({
    identity: { node: nodeId(''), incarnation: noIncarnation, cluster: '' },
  })
  #transport: TcpTransport | undefined
  #receiver: FrameReceiver | undefined
  readonly #routes = new Map<PeerId, string>()

  attach(transport: TcpTransport): void {
    this.#transport = transport
    if (this.#receiver !== undefined) transport.serve(this.#receiver)
    for (const [peer, address] of this.#routes) transport.route(peer, address)
  }

  send(to: PeerId, frame: Uint8Array): void {
    // Whoever waits for an answer is to hear at once that there is no way yet.
    if (this.#transport === undefined) setImmediate(() => this.#receiver?.unreachable(to, true))
    else if (isSeed(to)) this.#nameless.send(to, frame)
    else this.#transport.send(to, frame)
  }

  serve(receiver: FrameReceiver): void {
    this.#receiver = receiver
    this.#nameless.serve(receiver)
    this.#transport?.serve(receiver)
  }

  route(peer: PeerId, address: string): void {
    if (isSeed(peer)) return this.#nameless.route(peer, address)
    this.#routes.set(peer, address)
    this.#transport?.route(peer, address)
  }

  async close(): Promise<void> {
    await Promise.all([this.#nameless.close(), this.#transport?.close()])
  }
}
