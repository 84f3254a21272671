/**
 * The user who posted, refreshed, and did not find the post, and refreshed again, and there it was: on real processes, with
 * a small web application between. Read from any replica it happens; with a session in a cookie it cannot.
 */

import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { connect, type Row, type Session, sessionCookie, sessionFromRequest, table } from '@quorate/client'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { TestNodes } from './harness.ts'

interface Post extends Row {
  readonly id: string
  readonly text: string
}
const posts = table<Post>('posts', { key: 'id' })
const USERS = 150

let nodes: TestNodes
/** Each with connections of its own, as web servers behind a load balancer are. */
const webServers: Server[] = []
const closing: (() => Promise<void>)[] = []

/** `POST /posts/ID` writes, `GET /posts/ID` reads from any replica; `?session`: in the session of the cookie. */
function webServer(connection: Awaited<ReturnType<typeof connect>>): Server {
  const db = connection.table(posts)
  return createServer(async (request, response) => {
    const url = new URL(request.url!, 'http://localhost')
    const id = url.pathname.split('/')[2]!
    try {
      const inSession = url.searchParams.has('session')
      const session: Session | undefined = inSession
        ? sessionFromRequest(connection, request.headers)
        : undefined
      const options = { timeoutMs: 20_000, ...(session === undefined ? {} : { session }) }
      if (request.method === 'POST') await db.put({ id, text: 'hello' }, options)
      const found =
        request.method === 'GET' &&
        (await db.get(id, { ...options, read: inSession ? 'session' : 'any' })).value
      if (session !== undefined) response.setHeader('set-cookie', sessionCookie(session, { secure: false }))
      response.writeHead(request.method === 'GET' && found === undefined ? 404 : 200).end()
    } catch (error) {
      response.writeHead(500).end(String(error))
    }
  })
}

beforeAll(async () => {
  nodes = await TestNodes.start(5)
  const create = ['table', 'create', 'posts', '--key', 'id', '--partitioning', 'fixed', '--partitions', '6']
  const made = await nodes.command([...create, '--single-leader', '--ack', 'majority'])
  expect(made.code, made.stderr).toBe(0)
  for (let i = 0; i < 3; i++) {
    const db = await connect(nodes.connectString, { timeoutMs: 30_000 })
    closing.push(() => db.close())
    const server = webServer(db)
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    webServers.push(server)
  }
})
afterAll(async () => {
  await Promise.all(webServers.map(server => new Promise(resolve => server.close(resolve))))
  await Promise.all(closing.map(close => close()))
  await nodes?.close()
})

/** What a user sees who posts and refreshes five times, each time answered by the next web server. */
async function refreshes(id: string, query: string): Promise<boolean[]> {
  let cookie = ''
  const seen: boolean[] = []
  for (let turn = 0; turn <= 5; turn++) {
    const { port } = webServers[turn % webServers.length]!.address() as AddressInfo
    const response = await fetch(`http://127.0.0.1:${port}/posts/${id}${query}`, {
      method: turn === 0 ? 'POST' : 'GET',
      headers: cookie === '' ? {} : { cookie },
    })
    const body = await response.text()
    expect([200, 404], body).toContain(response.status)
    cookie = response.headers.get('set-cookie')?.split(';')[0] ?? cookie
    if (turn > 0) seen.push(response.status === 200)
  }
  return seen
}

async function users(query: string): Promise<boolean[][]> {
  const all: boolean[][] = []
  for (let first = 0; first < USERS; first += 10)
    all.push(
      ...(await Promise.all(
        Array.from({ length: 10 }, (_, i) => refreshes(`${query}${first + i}`.slice(1), query)),
      )),
    )
  return all
}

it('read from any replica, posts vanish, and come back', async () => {
  const all = await users('?any')
  expect(all.some(seen => seen.includes(false))).toBe(true)
  // In the end each is there: nothing was lost, it only looked so.
  for (let i = 0; i < USERS; i++) expect(await refreshes(`any${i}`, '?session')).not.toContain(false)
})

it('with a session in a cookie nobody misses what they posted, whichever web server and node answers', async () => {
  const all = await users('?session')
  expect(all).toHaveLength(USERS)
  expect(all.flat()).not.toContain(false)
})

it('a session goes on over the death of a leader; a forged cookie is refused', async () => {
  const working = users('?session&more')
  const { items } = await nodes.json<{ leader: string }>(['lag', 'posts'])
  await nodes.end(items[0]!.leader, 'SIGKILL')
  expect((await working).flat()).not.toContain(false)
  const { port } = webServers[0]!.address() as AddressInfo
  const address = `http://127.0.0.1:${port}/posts/any1?session`
  const genuine = (await fetch(address)).headers.get('set-cookie')!.split(';')[0]!
  const at = genuine.length - 8
  const forged = genuine.slice(0, at) + (genuine[at] === 'A' ? 'B' : 'A') + genuine.slice(at + 1)
  for (const cookie of [forged, 'quorate-session=AAAAAAAAAAAAAAAAAAAAAAAA']) {
    const refused = await fetch(address, { headers: { cookie } })
    expect(refused.status).toBe(500)
    expect(await refused.text()).toContain('not one that this cluster gave out')
  }
})
