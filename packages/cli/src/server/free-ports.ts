/**
 * Free loopback ports. Drawn from below the range in which systems hand out ports to outgoing connections:
 * a node that is down must find its port still free when it returns.
 */

import { createServer } from 'node:net'

const FIRST = 17_000
const LAST = 31_000

export function isFree(port: number, host = '127.0.0.1'): Promise<boolean> {
  return new Promise(resolve => {
    const probe = createServer()
    probe.once('error', () => resolve(false))
    probe.listen({ host, port, exclusive: true }, () => probe.close(() => resolve(true)))
  })
}

/** `count` consecutive free ports from `first` when it is given and they are free; undefined otherwise. */
export async function consecutivePorts(first: number, count: number): Promise<number[] | undefined> {
  const ports = Array.from({ length: count }, (_, i) => first + i)
  for (const port of ports) if (!(await isFree(port))) return undefined
  return ports
}

export async function freePorts(count: number): Promise<number[]> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const first = FIRST + Math.floor(Math.random() * (LAST - FIRST - count))
    const ports = await consecutivePorts(first, count)
    if (ports !== undefined) return ports
  }
  throw new Error(`no ${count} consecutive free ports between ${FIRST} and ${LAST}`)
}
