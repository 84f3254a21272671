// One Quorate server process for the benchmark: bench/node.mjs ID MEMBERS-AS-JSON DATA-DIRECTORY
import { resolveConfig, startServer } from '@quorate/server'

const [id, members, data] = process.argv.slice(2)
const all = JSON.parse(members)
const me = all.find(member => member.id === id)
const server = await startServer(
  resolveConfig([{ id, listen: me.address, http: me.http, data, members: all, logLevel: 'error' }]),
)
const end = async () => {
  await server.stop()
  process.exit(0)
}
process.on('SIGTERM', end)
process.on('disconnect', end)
process.send?.('up')
