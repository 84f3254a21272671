// What this machine allows: a bare echo of the same frames, a bare append with sync, a bare store commit.
import { connect } from 'node:net'
import { join } from 'node:path'
import { NodeClock, noIncarnation } from '@quorate/client/node-transport'
import { LogStore, nodeId } from '@quorate/core'
import { LmdbTable, NodeDisk, nodeRandom } from '@quorate/server'
import { Connection } from '../packages/client/dist/node-transport/connection.js'
import { measure } from './measure.mjs'
import { endChild, forkUp, freePorts } from './processes.mjs'

/** Sizes of a get's frames as measured on the wire: request and reply of a 100-byte row. */
const REQUEST_BYTES = 40
const REPLY_BYTES = 210

export async function echoLimit(concurrencies, seconds) {
  const [port] = await freePorts(1)
  const child = await forkUp(new URL('./echo.mjs', import.meta.url).pathname, [
    String(port),
    String(REPLY_BYTES),
  ])
  const socket = connect(port, '127.0.0.1')
  const waiting = []
  const connection = new Connection(
    socket,
    { node: nodeId(''), incarnation: noIncarnation, cluster: '' },
    {
      hello: () => {},
      frame: () => waiting.shift()?.(),
      closed: () => {},
    },
  )
  await new Promise(resolve => setTimeout(resolve, 300))
  const out = {}
  for (const concurrency of concurrencies) {
    out[concurrency] = await measure(
      concurrency,
      seconds,
      () =>
        new Promise(resolve => {
          waiting.push(resolve)
          // A fresh frame each time, as a request would be.
          connection.send(new Uint8Array(REQUEST_BYTES))
        }),
    )
  }
  connection.end()
  await endChild(child)
  return out
}

export async function appendLimit(directory, seconds) {
  const disk = await NodeDisk.open(join(directory, 'append'))
  const file = await disk.open('bare.log')
  const record = new Uint8Array(128).fill(7)
  const result = await measure(1, seconds, async () => {
    await file.append(record)
    await file.sync()
  })
  await file.close()
  return result
}

export async function storeLimit(directory, concurrencies, seconds) {
  const disk = await NodeDisk.open(join(directory, 'store-log'))
  const table = await LmdbTable.open(join(directory, 'store-table'))
  const store = await LogStore.open({
    disk,
    table,
    clock: new NodeClock(),
    random: nodeRandom(),
    onFatal: error => {
      throw error
    },
  })
  const value = new Uint8Array(160).fill(7)
  const out = {}
  for (const concurrency of concurrencies) {
    out[concurrency] = await measure(
      concurrency,
      seconds,
      (caller, turn) =>
        new Promise(resolve => {
          const key = `r\0\0\0\u0001${String((caller * 7_919 + turn * 104_729) % 1_000_003).padStart(16, '0')}`
          store.whenDurable(store.commit([{ key, value }]), resolve)
        }),
    )
  }
  await store.close()
  return out
}
