import { connect, createServer, type Socket } from 'node:net'
import {
  ByteWriter,
  helloSchema,
  type Incarnation,
  limits,
  nodeId,
  type PeerId,
  PROTOCOL_MAGIC,
  PROTOCOL_VERSION,
  type QuorateError,
} from '@quorate/core'
import { type TransportSubject, transportConformance } from '@quorate/core/conformance'
import { afterEach, describe, expect, it } from 'vitest'
import { noIncarnation, TcpTransport } from './tcp-transport.ts'

/** A port at which nothing listens. */
async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  await new Promise(resolve => server.close(resolve))
  return port
}

const turns = async (count: number): Promise<void> => {
  for (let i = 0; i < count; i++) await new Promise(resolve => setImmediate(resolve))
}

async function subject(): Promise<TransportSubject> {
  const names = ['n1', 'n2', 'n3']
  const transports = names.map(
    name => new TcpTransport({ identity: { node: nodeId(name), incarnation: noIncarnation, cluster: '' } }),
  )
  const ports = await Promise.all(transports.map(transport => transport.listen('127.0.0.1', 0)))
  const ends = names.map((name, i) => ({ peer: name as PeerId, transport: transports[i]! }))
  for (const { transport } of ends)
    names.forEach((name, i) => {
      transport.route(name as PeerId, `127.0.0.1:${ports[i]}`)
    })
  return {
    ends,
    // Loopback delivers within a few turns of the loop; the bound is generous since the machine may be busy.
    settle: async () => {
      for (let i = 0; i < 20; i++) {
        await turns(50)
        await new Promise(resolve => setTimeout(resolve, 5))
      }
    },
    stop: async peer => ends.find(end => end.peer === peer)!.transport.close(),
    dispose: async () => {
      await Promise.all(transports.map(transport => transport.close()))
    },
  }
}

describe('TcpTransport keeps the contract of Transport', () => {
  it.each(transportConformance.map(c => [c.name, c] as const))('%s', async (_, c) => {
    await c.run(subject)
  })
})

describe('what comes over a connection', () => {
  const open: { close(): unknown }[] = []
  afterEach(async () => {
    for (const thing of open.splice(0)) await thing.close()
  })

  async function listening(): Promise<{
    transport: TcpTransport
    port: number
    frames: Uint8Array[]
    refused: QuorateError[]
  }> {
    const refused: QuorateError[] = []
    const frames: Uint8Array[] = []
    const transport = new TcpTransport({
      identity: { node: nodeId('n1'), incarnation: noIncarnation, cluster: '' },
      onRefused: (_, error) => refused.push(error),
    })
    open.push(transport)
    transport.serve({ frame: (_, frame) => frames.push(frame.slice()), unreachable: () => {} })
    return { transport, port: await transport.listen('127.0.0.1', 0), frames, refused }
  }

  const dial = (port: number): Promise<Socket> =>
    new Promise((resolve, reject) => {
      const socket: Socket = connect(port, '127.0.0.1', () => resolve(socket))
      socket.on('error', reject)
      open.push({ close: () => socket.destroy() })
    })

  const framed = (payload: Uint8Array): Buffer => {
    const head = Buffer.alloc(4)
    head.writeUInt32BE(payload.length)
    return Buffer.concat([head, payload])
  }

  const hello = (protocol = PROTOCOL_VERSION): Buffer => {
    const writer = new ByteWriter()
    helloSchema.write(writer, {
      protocol,
      node: nodeId(''),
      incarnation: '\0'.repeat(8) as Incarnation,
      cluster: '',
    })
    return Buffer.concat([Buffer.from(PROTOCOL_MAGIC), framed(writer.take())])
  }

  const until = async (done: () => boolean): Promise<void> => {
    for (let i = 0; i < 400 && !done(); i++) await new Promise(resolve => setTimeout(resolve, 5))
    expect(done()).toBe(true)
  }

  it('says that nothing was sent when there was no connection, and only then', async () => {
    const told: (boolean | undefined)[] = []
    const { transport: other, port, frames } = await listening()
    const sender = new TcpTransport({
      identity: { node: nodeId('n2'), incarnation: noIncarnation, cluster: '' },
    })
    open.push(sender)
    sender.serve({ frame: () => {}, unreachable: (_, nothingSent) => told.push(nothingSent) })
    sender.route('n1' as PeerId, `127.0.0.1:${port}`)
    sender.send('n1' as PeerId, new Uint8Array([1]))
    await until(() => frames.length === 1)
    await other.close()
    await until(() => told.length === 1)
    for (let i = 0; i < 3; i++) sender.send('n1' as PeerId, new Uint8Array([2]))
    await until(() => told.length >= 2)
    expect(told[0]).toBe(false)
    expect(new Set(told.slice(1))).toEqual(new Set([true]))
  })

  it('says it of no frame that waits for a dial, which may yet send it', async () => {
    const told: (boolean | undefined)[] = []
    const sender = new TcpTransport({
      identity: { node: nodeId('n2'), incarnation: noIncarnation, cluster: '' },
    })
    open.push(sender)
    sender.serve({ frame: () => {}, unreachable: (_, nothingSent) => told.push(nothingSent) })
    const free = await freePort()
    sender.route('n1' as PeerId, `127.0.0.1:${free}`)
    sender.send('n1' as PeerId, Uint8Array.of(0))
    await until(() => told.length === 1)
    const { port, frames } = await listening()
    // Refused a moment ago: dropped, to be told of soon. Then a dial begins before that is told.
    sender.send('n1' as PeerId, Uint8Array.of(1))
    sender.route('n1' as PeerId, `127.0.0.1:${port}`)
    sender.send('n1' as PeerId, Uint8Array.of(2))
    await until(() => frames.length === 1)
    expect(told).toEqual([true, false])
  })

  it('another protocol version is refused by name', async () => {
    const { port, refused } = await listening()
    const socket = await dial(port)
    socket.write(hello(99))
    await until(() => refused.length > 0)
    expect(refused[0]!.code).toBe('PROTOCOL_VERSION')
    expect(refused[0]!.message).toContain('99')
  })

  it('something that is not Quorate is refused by name', async () => {
    const { port, refused } = await listening()
    const socket = await dial(port)
    socket.write('GET / HTTP/1.1\r\n\r\n')
    await until(() => refused.length > 0)
    expect(refused[0]!.message).toContain('does not speak the data protocol')
  })

  it('an oversized frame is skipped: its head is handed up, and the next frame arrives', async () => {
    const { port, frames } = await listening()
    const socket = await dial(port)
    socket.write(hello())
    const head = Buffer.alloc(4)
    head.writeUInt32BE(limits.frameBytesMax + 1_000)
    socket.write(head)
    for (let left = limits.frameBytesMax + 1_000; left > 0; left -= 1 << 20)
      socket.write(Buffer.alloc(Math.min(left, 1 << 20), 7))
    socket.write(framed(Uint8Array.of(1, 2, 3)))
    await until(() => frames.length === 2)
    expect(frames[0]!.length).toBe(32)
    expect([...frames[1]!]).toEqual([1, 2, 3])
  })

  it('frames cut into single bytes arrive whole', async () => {
    const { port, frames } = await listening()
    const socket = await dial(port)
    const bytes = Buffer.concat([
      hello(),
      framed(Uint8Array.of(9, 8, 7)),
      framed(new Uint8Array(0)),
      framed(Uint8Array.of(6)),
    ])
    for (const byte of bytes) {
      socket.write(Buffer.from([byte]))
      await turns(1)
    }
    await until(() => frames.length === 3)
    expect(frames.map(frame => [...frame])).toEqual([[9, 8, 7], [], [6]])
  })

  it('a peer that is not who its address was routed for is refused', async () => {
    const { port } = await listening()
    const refused: QuorateError[] = []
    const other = new TcpTransport({
      identity: { node: nodeId('n2'), incarnation: noIncarnation, cluster: '' },
      onRefused: (_, error) => refused.push(error),
    })
    open.push(other)
    other.serve({ frame: () => {}, unreachable: () => {} })
    other.route('n3' as PeerId, `127.0.0.1:${port}`)
    other.send('n3' as PeerId, Uint8Array.of(1))
    await until(() => refused.length > 0)
    expect(refused[0]!.message).toContain('"n1", not "n3"')
    await turns(50)
    expect(refused).toHaveLength(1)
  })

  it('a peer that cannot be reached is told with its address, and so is that it was reached', async () => {
    const { port } = await listening()
    const told: string[] = []
    const other = new TcpTransport({
      identity: { node: nodeId('n2'), incarnation: noIncarnation, cluster: '' },
      onRefused: (peer, error) => told.push(`${peer} ${error.code} ${error.message}`),
      onReached: peer => told.push(`${peer} reached`),
    })
    open.push(other)
    other.serve({ frame: () => {}, unreachable: () => {} })
    const free = await freePort()
    other.route('n1' as PeerId, `127.0.0.1:${free}`)
    other.send('n1' as PeerId, Uint8Array.of(1))
    await until(() => told.length > 0)
    expect(told).toEqual([`n1 UNREACHABLE connect ECONNREFUSED 127.0.0.1:${free}`])
    other.route('n1' as PeerId, `127.0.0.1:${port}`)
    other.send('n1' as PeerId, Uint8Array.of(1))
    await until(() => told.length > 1)
    expect(told[1]).toBe('n1 reached')
  })

  it('a port in use is an error of listen', async () => {
    const { port } = await listening()
    const second = new TcpTransport({
      identity: { node: nodeId('n2'), incarnation: noIncarnation, cluster: '' },
    })
    await expect(second.listen('127.0.0.1', port)).rejects.toMatchObject({ code: 'EADDRINUSE' })
  })
})
