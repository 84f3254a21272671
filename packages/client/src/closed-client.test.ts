import { createServer } from 'node:net'
import { isQuorateError, SeededRandom, type Transport } from '@quorate/core'
import { describe, expect, it } from 'vitest'
import { QuorateClient } from './client.ts'
import { connect } from './connect.ts'
import { NodeClock, seedPeer } from './node-transport/index.ts'

/** Frames go nowhere, and nobody says so. */
const nowhere: Transport = { send() {}, serve() {}, route() {}, close: async () => {} }

function silentClient(): QuorateClient {
  return new QuorateClient({
    transport: nowhere,
    clock: new NodeClock(),
    random: new SeededRandom(1),
    seeds: [{ peer: seedPeer('127.0.0.1:1'), address: '127.0.0.1:1' }],
  })
}

const failure = (call: Promise<unknown>): Promise<unknown> =>
  call.then(
    () => 'answered',
    (error: unknown) => (isQuorateError(error) ? [error.code, error.message, error.outcome] : error),
  )

describe('a closed client', () => {
  it('says so to calls made after it was closed: nothing was done', async () => {
    const client = silentClient()
    await client.close()
    const closed = ['CANCELLED', 'the client is closed', 'not-applied']
    expect(await failure(client.describe('carts'))).toEqual(closed)
    expect(await failure(client.ready())).toEqual(closed)
  })

  it('ends the calls that were open', async () => {
    const client = silentClient()
    const open = failure(client.describe('carts'))
    await client.close()
    expect(await open).toEqual(['CANCELLED', 'the client is closed', 'unknown'])
  })
})

it('a connection that is refused names every address that was tried', async () => {
  const server = createServer()
  const port = await new Promise<number>(resolve =>
    server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port)),
  )
  await new Promise(resolve => server.close(resolve))
  const error = await connect(`quorate://127.0.0.1:${port},localhost:${port}`, { timeoutMs: 50 }).catch(
    (reason: unknown) => reason,
  )
  expect(isQuorateError(error) && error.message).toBe(
    `no node of the cluster could be reached at 127.0.0.1:${port}, localhost:${port}`,
  )
  expect(isQuorateError(error) && error.attempts.join()).toContain(`127.0.0.1:${port}: cannot be reached`)
})
