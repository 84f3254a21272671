/** `quorate proxy`: one address for clients, the router behind it. Serves until a signal ends the process. */

import { CommandError } from '../command-error.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import type { Terminal } from '../output/terminal.ts'

export interface ProxyOptions {
  readonly listen: string
  readonly nodes: string
}

export async function proxy({ listen, nodes }: ProxyOptions, terminal: Terminal): Promise<ExitCode> {
  const { startProxy } = await import('@quorate/server')
  const { parseConnectString } = await import('@quorate/client')
  const wanted = nodes.startsWith('quorate://') ? nodes : `quorate://${nodes}`
  const running = await startProxy({ listen, nodes: [...parseConnectString(wanted).addresses] }).catch(
    (error: unknown) => {
      const { code, message } = error as { code?: string; message: string }
      const isAddress = code === 'EADDRINUSE' || code === 'EACCES' || code === 'BAD_REQUEST'
      const why = isAddress ? `the proxy cannot listen on ${listen}: ${message}` : message
      throw new CommandError(isAddress ? exitCodes.usage : exitCodes.unreachable, why, { cause: error })
    },
  )
  terminal.out.write(`proxy serving  ${running.address}  pid ${process.pid}\n`)
  terminal.error.write(`clients connect to quorate://${running.address}\n`)
  await new Promise<void>(resolve => {
    process.once('SIGTERM', resolve)
    process.once('SIGINT', resolve)
  })
  await running.stop()
  const { requests, failures } = running.counters
  terminal.error.write(`proxy stopped after ${requests} requests, ${failures} of them with an error\n`)
  return exitCodes.ok
}
