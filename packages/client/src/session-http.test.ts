import { emptySession, type SessionState, sealSession, withRow } from '@quorate/core'
import { describe, expect, it } from 'vitest'
import { Session } from './session.ts'
import { SESSION_HEADER, sessionCookie, sessionFromRequest } from './session-http.ts'

const seal = { clusterId: 'blue', key: new Uint8Array(32) }
const database = { session: (token?: string) => new Session(token) }

function seen(rows: number): SessionState {
  let state = emptySession
  for (let row = 0; row < rows; row++)
    state = withRow(state, `r\0\0\0\x01\0\0\0\0row ${row}` as never, [
      { actor: 'actor001' as never, intervals: [row + 1, row + 1] },
    ])
  return state
}
const session = (rows: number): Session => new Session(sealSession(seen(rows), seal))

describe('the cookie of a session', () => {
  it('is kept from scripts and other sites, and sent over TLS only unless told otherwise', () => {
    const cookie = sessionCookie(session(1), { maxAgeSeconds: 60 })
    expect(cookie).toMatch(
      /^quorate-session=[A-Za-z0-9_-]+; Path=\/; Max-Age=60; Secure; HttpOnly; SameSite=Lax$/,
    )
    expect(sessionCookie(session(1), { secure: false })).not.toContain('Secure')
  })

  it('past what browsers keep it is refused, not left to be dropped', () => {
    expect(() => sessionCookie(session(200))).toThrow(expect.objectContaining({ code: 'SESSION_FULL' }))
  })

  it.each([
    ['a plain record', (cookie: string) => ({ cookie: `a=1; ${cookie}; b=2` })],
    ['a record in capitals', (cookie: string) => ({ Cookie: cookie })],
    ['several headers', (cookie: string) => ({ cookie: ['a=1', cookie] })],
    [
      'the headers of fetch',
      (cookie: string) => ({ get: (name: string) => (name === 'cookie' ? cookie : null) }),
    ],
  ])('comes back from %s', (_, headers) => {
    const given = session(3)
    const pair = sessionCookie(given).split(';')[0]!
    expect(sessionFromRequest(database, headers(pair)).token).toBe(given.token)
  })

  it('a header comes before a cookie; without both the session is new', () => {
    const [header, cookie] = [session(2), session(3)]
    const pair = sessionCookie(cookie).split(';')[0]!
    const both = { [SESSION_HEADER]: header.token, cookie: pair }
    expect(sessionFromRequest(database, both).token).toBe(header.token)
    expect(sessionFromRequest(database, { cookie: 'other=1' }).token).toBe(new Session().token)
  })

  it.each(['', 'not base64url!', 'AAAA', 'Zm9vYmFy'])('a token that is none is refused: "%s"', token => {
    expect(() => sessionFromRequest(database, { [SESSION_HEADER]: token })).toThrow(
      expect.objectContaining({ code: 'BAD_SESSION' }),
    )
  })
})

describe('calls of one session at the same time', () => {
  it('join what they bring, and the next reply takes the place of all that went out', async () => {
    const shared = new Session()
    const row = (n: number) => sealSession(seen(n), seal)
    const sent: Uint8Array[] = []
    const call = (reply: Uint8Array) =>
      shared.run(async bundle => {
        sent.push(bundle)
        await Promise.resolve()
        return { session: reply }
      })
    await Promise.all([call(row(1)), call(row(2)), call(row(3))])
    const joined = shared.bytes
    expect(joined.length).toBeGreaterThan(row(3).length)
    await call(row(5))
    expect(sent.at(-1)).toEqual(joined)
    expect(shared.bytes).toEqual(row(5))
  })

  it('a call that fails changes nothing; a reply without a token is an error', async () => {
    const shared = session(2)
    const before = shared.token
    await expect(shared.run(() => Promise.reject(new Error('no')))).rejects.toThrow('no')
    await expect(shared.run(async () => ({ session: undefined }))).rejects.toThrow('no token')
    expect(shared.token).toBe(before)
  })

  it('more than may run at once wait for their turn', async () => {
    const shared = new Session()
    let running = 0
    let most = 0
    const call = () =>
      shared.run(async () => {
        most = Math.max(most, ++running)
        await new Promise(resolve => setTimeout(resolve, 0))
        running--
        return { session: sealSession(emptySession, seal) }
      })
    await Promise.all(Array.from({ length: 100 }, call))
    expect([most, running]).toEqual([32, 0])
  })
})
