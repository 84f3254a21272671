import { resolveConfig, startServer } from '@quorate/server'

const [id, base, n, dir] = process.argv.slice(2)
const members = Array.from({ length: Number(n) }, (_, i) => ({
  id: `n${i + 1}`,
  address: `127.0.0.1:${Number(base) + i}`,
  http: `127.0.0.1:${Number(base) + 100 + i}`,
}))
const me = members.find(m => m.id === id)
const s = await startServer(
  resolveConfig([{ id, listen: me.address, http: me.http, data: `${dir}/${id}`, members, logLevel: 'warn' }]),
)
process.on('SIGTERM', async () => {
  await s.stop()
  process.exit(0)
})
process.send?.('up')
