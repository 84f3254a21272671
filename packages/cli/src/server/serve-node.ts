/**
 * A server process from start to end: starts one node, ends with a code that says why. The last line of
 * defence stands here: an error nobody caught ends the process, since nothing is known about its state.
 */

import type { RunningServer, ServerConfig } from '@quorate/server'
import { describeFailure } from '../command-error.ts'
import { makeStyle } from '../output/style.ts'
import { refusal } from './start-failure.ts'

export interface ServeHooks {
  readonly onServing: (server: RunningServer) => void
  /** Before the process exits in an orderly way. */
  readonly onStopped?: () => Promise<void>
}

/** How long an orderly stop may take before the process goes anyway: the log has what was acknowledged. */
const STOP_MS = 5_000

/** Rejects when the node cannot start. */
export async function serveNode(config: ServerConfig, hooks: ServeHooks): Promise<void> {
  const { startServer } = await import('@quorate/server')
  await installLastDefence()
  const server = await startServer(config, {
    onFatal(exitCode, error) {
      const said = refusal(error, { id: config.node.id, data: config.data })
      if (said !== undefined) process.stderr.write(`${describeFailure(said, makeStyle(false)).join('\n')}\n`)
      process.exit(exitCode)
    },
  })
  let stopping = false
  const stop = (exitCode: number): void => {
    if (stopping) return
    stopping = true
    setTimeout(() => process.exit(exitCode), STOP_MS).unref()
    server
      .stop()
      .then(() => hooks.onStopped?.())
      .then(
        () => process.exit(exitCode),
        (error: unknown) => {
          process.stderr.write(`stopping failed: ${error instanceof Error ? error.message : String(error)}\n`)
          process.exit(1)
        },
      )
  }
  process.on('SIGTERM', () => stop(0))
  // A child of `quorate demo` shares its terminal: there Ctrl-C is for the parent, which then closes the channel.
  process.on('SIGINT', () => {
    if (process.send === undefined) stop(0)
  })
  process.on('disconnect', () => stop(0))
  hooks.onServing(server)
}

async function installLastDefence(): Promise<void> {
  const { exitCodeFor, isLmdbEcho } = await import('@quorate/server')
  const die = (what: string, error: unknown): void => {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
    process.stderr.write(`${what}: ${text}\n`)
    process.exit(exitCodeFor(error))
  }
  process.on('uncaughtException', error => die('uncaught exception', error))
  process.on('unhandledRejection', reason => {
    // A failed commit has been reported where it was awaited; the engine rejects a second, unreachable promise.
    if (!isLmdbEcho(reason)) die('unhandled rejection', reason)
  })
}
