// Answers every frame with one of a fixed size, through the same framing as the product.
import { createServer } from 'node:net'
import { noIncarnation } from '@quorate/client/node-transport'
import { nodeId } from '@quorate/core'
import { Connection } from '../packages/client/dist/node-transport/connection.js'

const [port, bytes] = process.argv.slice(2).map(Number)
createServer(socket => {
  const connection = new Connection(
    socket,
    { node: nodeId('echo'), incarnation: noIncarnation, cluster: '' },
    {
      hello: () => {},
      frame: () => connection.send(new Uint8Array(bytes)),
      closed: () => {},
    },
  )
}).listen(port, '127.0.0.1', () => process.send('up'))
process.on('disconnect', () => process.exit(0))
