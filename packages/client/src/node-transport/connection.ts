/**
 * One TCP connection that carries frames: a magic word and a hello each way, then length-prefixed frames,
 * many requests in flight. Frames written during one turn of the event loop leave in one write.
 *
 * A frame past the limit is skipped on the wire; its first bytes are handed up so that the request it
 * belonged to can be answered with an error. The connection and its other requests live on.
 */

import type { Socket } from 'node:net'
import {
  ByteReader,
  ByteWriter,
  type Hello,
  helloSchema,
  limits,
  PROTOCOL_MAGIC,
  PROTOCOL_VERSION,
  QuorateError,
} from '@quorate/core'

/** Enough of an oversized frame to see whose request it is. */
const HEAD_BYTES = 32
const HELLO_TIMEOUT_MS = 5_000
/** Frames up to this are copied into one buffer per turn; larger ones are written as they are. */
const JOIN_BYTES = 16 * 1024

export interface ConnectionEvents {
  hello(hello: Hello): void
  frame(frame: Uint8Array): void
  closed(error: QuorateError | undefined): void
}

export class Connection {
  readonly socket: Socket
  readonly #events: ConnectionEvents
  #carry: Buffer = Buffer.alloc(0)
  #sawMagic = false
  #sawHello = false
  #skip = 0
  #pending: Uint8Array[] = []
  #pendingBytes = 0
  #scheduled = false
  #closed = false
  /** Why we close, for the peer's log and ours. */
  #reason: QuorateError | undefined
  readonly #helloTimer: NodeJS.Timeout

  constructor(socket: Socket, own: Omit<Hello, 'protocol'>, events: ConnectionEvents) {
    this.socket = socket
    this.#events = events
    socket.setNoDelay(true)
    socket.on('data', chunk => this.#data(chunk))
    socket.on('error', error => {
      this.#reason ??= new QuorateError('UNREACHABLE', error.message, { outcome: 'unknown', cause: error })
    })
    socket.on('close', () => this.#close())
    this.#helloTimer = setTimeout(() => this.fail('BAD_FRAME', 'the peer said no hello'), HELLO_TIMEOUT_MS)
    this.#helloTimer.unref()
    const writer = new ByteWriter()
    helloSchema.write(writer, { ...own, protocol: PROTOCOL_VERSION })
    socket.write(PROTOCOL_MAGIC, 'latin1')
    this.send(writer.take())
  }

  get bufferedBytes(): number {
    return this.socket.writableLength + this.#pendingBytes
  }

  send(frame: Uint8Array): void {
    if (this.#closed) return
    this.#pending.push(frame)
    this.#pendingBytes += frame.length
    if (this.#scheduled) return
    this.#scheduled = true
    // Not the next tick: that comes after every chunk that is read. Once per turn of the loop is one write
    // for all that the turn produced, on whichever connections it came in.
    setImmediate(() => this.#flush())
  }

  #flush(): void {
    this.#scheduled = false
    const frames = this.#pending
    this.#pending = []
    this.#pendingBytes = 0
    if (this.#closed || frames.length === 0) return
    let joined = 0
    for (const frame of frames) if (frame.length <= JOIN_BYTES) joined += 4 + frame.length
    const buffer = Buffer.allocUnsafe(joined)
    let at = 0
    let start = 0
    this.socket.cork()
    for (const frame of frames) {
      if (frame.length <= JOIN_BYTES) {
        at = buffer.writeUInt32BE(frame.length, at)
        buffer.set(frame, at)
        at += frame.length
        continue
      }
      if (at > start) this.socket.write(buffer.subarray(start, at))
      start = at
      const head = Buffer.allocUnsafe(4)
      head.writeUInt32BE(frame.length)
      this.socket.write(head)
      this.socket.write(frame)
    }
    if (at > start) this.socket.write(buffer.subarray(start, at))
    this.socket.uncork()
  }

  #data(chunk: Buffer): void {
    let bytes = this.#carry.length === 0 ? chunk : Buffer.concat([this.#carry, chunk])
    this.#carry = Buffer.alloc(0)
    if (!this.#sawMagic) {
      const word = bytes.subarray(0, PROTOCOL_MAGIC.length).toString('latin1')
      if (!PROTOCOL_MAGIC.startsWith(word))
        return this.fail(
          'BAD_FRAME',
          'the other side does not speak the data protocol: one of the two is no Quorate data port (the admin interface is another port)',
        )
      if (bytes.length < PROTOCOL_MAGIC.length) {
        this.#carry = bytes
        return
      }
      this.#sawMagic = true
      bytes = bytes.subarray(PROTOCOL_MAGIC.length)
    }
    let at = 0
    while (!this.#closed) {
      if (this.#skip > 0) {
        const skipped = Math.min(this.#skip, bytes.length - at)
        this.#skip -= skipped
        at += skipped
        if (this.#skip > 0) break
      }
      if (bytes.length - at < 4) break
      const length = bytes.readUInt32BE(at)
      const wanted = length > limits.frameBytesMax ? HEAD_BYTES : length
      if (bytes.length - at - 4 < wanted) break
      // A plain view: `slice` of a Buffer does not copy, and those above rely on it that it does.
      const frame = new Uint8Array(bytes.buffer, bytes.byteOffset + at + 4, wanted)
      at += 4 + wanted
      this.#skip = length - wanted
      this.#frame(frame)
    }
    if (at < bytes.length) this.#carry = bytes.subarray(at)
  }

  #frame(frame: Uint8Array): void {
    if (this.#sawHello) return this.#events.frame(frame)
    try {
      const hello = readHello(frame)
      this.#sawHello = true
      clearTimeout(this.#helloTimer)
      this.#events.hello(hello)
    } catch (error) {
      const known = error as QuorateError
      this.fail(known.code, known.message)
    }
  }

  /** Tells no one but our own side why; the peer sees the connection end. */
  fail(code: QuorateError['code'], message: string): void {
    this.#reason ??= new QuorateError(code, message, { outcome: 'unknown' })
    this.socket.destroy()
  }

  end(): void {
    this.socket.destroy()
  }

  #close(): void {
    if (this.#closed) return
    this.#closed = true
    clearTimeout(this.#helloTimer)
    this.#events.closed(this.#reason)
  }
}

function readHello(frame: Uint8Array): Hello {
  const reader = new ByteReader(frame)
  const protocol = reader.varint()
  if (protocol !== PROTOCOL_VERSION) {
    throw new QuorateError(
      'PROTOCOL_VERSION',
      `the peer speaks protocol version ${protocol}, this side speaks ${PROTOCOL_VERSION}`,
      {
        data: { theirs: protocol, ours: PROTOCOL_VERSION },
      },
    )
  }
  const hello = helloSchema.read(new ByteReader(frame))
  return hello
}
