import type { PeerId } from '../base/ids.ts'

/**
 * Moves frames between peers, promising nothing: a frame may be lost, doubled, late or out of order
 * (a connection that breaks and is made again does all of that). Never corrupts a frame unnoticed.
 * Requests, deadlines and retries are built on top once, in `wire/rpc.ts`, so that production and
 * simulator share them.
 *
 * Contract: `send` never throws and never blocks; a frame for a peer that cannot be reached is dropped
 * (and `unreachable` is called, at most once per lost connection). `frame` must not be changed after
 * `send`. Handlers are called one at a time, never from inside `send`.
 */
export interface Transport {
  send(to: PeerId, frame: Uint8Array): void
  /** Sets the one receiver. Frames that arrive before it is set are dropped. */
  serve(receiver: FrameReceiver): void
  /** Where a peer can be reached, `host:port`; learned from membership and hello messages. */
  route(peer: PeerId, address: string): void
  close(): Promise<void>
}

export interface FrameReceiver {
  frame(from: PeerId, frame: Uint8Array): void
  /**
   * The connection to this peer is lost or refused: requests in flight to it will get no answer.
   * `nothingSent`: there was none, and no frame that is not reported lost yet has left. Never a guess.
   */
  unreachable(peer: PeerId, nothingSent?: boolean): void
}
