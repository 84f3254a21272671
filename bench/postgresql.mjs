// PostgreSQL, when it is installed: a primary with one synchronous standby, both with fsync, so that a commit
// is on two disks before it is acknowledged (synchronous_commit = on). Single-row upserts by prepared statement.
//
// PostgreSQL refuses to run as root: then it runs as the user `postgres` (or nobody), in directories of its own.
import { execFile, spawnSync } from 'node:child_process'
import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { measure } from './measure.mjs'
import { endChild, freePorts, spawnQuiet, until } from './processes.mjs'

const DEBIAN = '/usr/lib/postgresql'
const value = 'x'.repeat(100)
const run = promisify(execFile)

/** Where the newest installed binaries are; undefined when there are none. */
export function postgresBinaries() {
  if (!existsSync(DEBIAN)) return undefined
  const versions = readdirSync(DEBIAN).sort((a, b) => Number(b) - Number(a))
  return versions.map(version => join(DEBIAN, version, 'bin')).find(bin => existsSync(join(bin, 'initdb')))
}

/** Whom to be: undefined for who we are, when that is not root. */
function otherUser() {
  if (process.getuid() !== 0) return undefined
  for (const name of ['postgres', 'nobody']) {
    const [uid, gid] = ['-u', '-g'].map(flag => spawnSync('id', [flag, name], { encoding: 'utf8' }))
    if (uid.status === 0 && gid.status === 0) return { uid: Number(uid.stdout), gid: Number(gid.stdout) }
  }
  throw new Error('no user that PostgreSQL could run as: neither postgres nor nobody')
}

/** A directory that the server's user may enter and own. */
function ownDirectory(directory, user) {
  mkdirSync(directory, { recursive: true })
  if (user === undefined) return directory
  chmodSync(dirname(directory), 0o711)
  chownSync(directory, user.uid, user.gid)
  return directory
}

const settings = (port, home, more = {}) =>
  Object.entries({
    port,
    listen_addresses: '127.0.0.1',
    unix_socket_directories: home,
    fsync: 'on',
    full_page_writes: 'on',
    max_connections: 300,
    shared_buffers: '128MB',
    ...more,
  }).flatMap(([name, setting]) => ['-c', `${name}=${setting}`])

/** Ports, directories and processes of both; `open` makes a connection to the primary. */
async function startPair(bin, directory, user) {
  const { default: pg } = await import('pg')
  const home = ownDirectory(directory, user)
  const [primaryData, standbyData] = ['primary', 'standby'].map(name => join(home, name))
  const [primaryPort, standbyPort] = await freePorts(2)
  const options = { ...user, cwd: home }
  await run(
    join(bin, 'initdb'),
    ['-D', primaryData, '-U', 'bench', '--auth=trust', '--no-locale', '-E', 'UTF8'],
    options,
  )
  const start = (data, port, more) =>
    spawnQuiet(join(bin, 'postgres'), ['-D', data, ...settings(port, home, more)], options)
  const connection = { host: '127.0.0.1', port: primaryPort, user: 'bench', database: 'postgres' }
  const open = async () => {
    const client = new pg.Client(connection)
    client.on('error', () => {
      // A connection that breaks fails its own request, which is counted.
    })
    await client.connect()
    return client
  }
  const standbys = { synchronous_standby_names: 'standby', synchronous_commit: 'on' }
  const primary = start(primaryData, primaryPort, standbys)
  await until('PostgreSQL', async () => (await open()).end().then(() => true))
  const source = `host=127.0.0.1 port=${primaryPort} user=bench application_name=standby`
  await run(
    join(bin, 'pg_basebackup'),
    ['-D', standbyData, '-d', source, '-R', '-X', 'stream', '-c', 'fast'],
    options,
  )
  const standby = start(standbyData, standbyPort)
  return { open, children: [standby, primary] }
}

/** Both copies count: the run is void when the standby is not in step. */
async function awaitSynchronous(admin) {
  await until('the synchronous standby', async () => {
    const { rows } = await admin.query('select sync_state from pg_stat_replication')
    return rows.some(row => row.sync_state === 'sync')
  })
}

const put = {
  name: 'put',
  text: 'insert into bench (k, v) values ($1, $2) on conflict (k) do update set v = excluded.v',
}
const get = { name: 'get', text: 'select v from bench where k = $1' }

export async function benchPostgresql(directory, concurrencies, seconds) {
  const bin = postgresBinaries()
  if (bin === undefined) throw new Error('skipped: no PostgreSQL below /usr/lib/postgresql')
  const { open, children } = await startPair(bin, directory, otherUser())
  const admin = await open()
  try {
    await awaitSynchronous(admin)
    await admin.query('create table bench (k text primary key, v text not null)')
    const version = (await admin.query('show server_version')).rows[0].server_version.split(' ')[0]
    const out = { version, put: {}, get: {} }
    for (const concurrency of concurrencies) {
      const callers = await Promise.all(Array.from({ length: concurrency }, open))
      out.put[concurrency] = await measure(concurrency, seconds, (c, t) =>
        callers[c].query({ ...put, values: [`k${c}-${t % 10_000}`, value] }),
      )
      out.get[concurrency] = await measure(concurrency, seconds, (c, t) =>
        callers[c].query({ ...get, values: [`k${c}-${t % 100}`] }),
      )
      await Promise.all(callers.map(caller => caller.end()))
    }
    await awaitSynchronous(admin)
    return out
  } finally {
    await admin.end()
    // The standby first: a primary that stops waits for its standby to have everything.
    for (const child of children) await endPostgres(child)
  }
}

/** SIGINT is its fast shutdown: it ends connections rather than waiting for them. */
async function endPostgres(child) {
  child.kill('SIGINT')
  await Promise.race([
    new Promise(resolve => child.once('exit', resolve)),
    new Promise(resolve => setTimeout(resolve, 5_000)),
  ])
  await endChild(child)
}
