// Child processes and free ports; everything started here is ended here, by process id.
import { fork, spawn } from 'node:child_process'
import { createServer } from 'node:net'

const children = new Set()

export async function freePorts(count) {
  const servers = await Promise.all(
    Array.from(
      { length: count },
      () =>
        new Promise((resolve, reject) => {
          const server = createServer()
          server.once('error', reject)
          server.listen(0, '127.0.0.1', () => resolve(server))
        }),
    ),
  )
  const ports = servers.map(server => server.address().port)
  await Promise.all(servers.map(server => new Promise(resolve => server.close(resolve))))
  return ports
}

/** Ended with the others when everything ends. */
export function keep(child) {
  children.add(child)
  child.once('exit', () => children.delete(child))
  return child
}

/** Forks a module that says 'up' when it serves. */
export function forkUp(file, args, execArgv = []) {
  const child = keep(fork(file, args, { stdio: ['ignore', 2, 2, 'ipc'], execArgv }))
  return new Promise((resolve, reject) => {
    child.once('message', () => resolve(child))
    child.once('exit', code => reject(new Error(`${file} ended with ${code}`)))
  })
}

export const spawnQuiet = (command, args, options = {}) =>
  keep(spawn(command, args, { ...options, stdio: 'ignore' }))

export async function endChild(child) {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = new Promise(resolve => child.once('exit', resolve))
  child.kill('SIGTERM')
  const killer = setTimeout(() => child.kill('SIGKILL'), 5_000)
  await gone
  clearTimeout(killer)
}

export const endAll = () => Promise.all([...children].map(endChild))

export async function until(what, probe, tries = 200) {
  for (let i = 0; i < tries; i++) {
    if (await probe().catch(() => false)) return
    await new Promise(resolve => setTimeout(resolve, 50))
  }
  throw new Error(`${what} did not come up`)
}
