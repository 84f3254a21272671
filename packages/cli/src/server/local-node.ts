/**
 * A node that another process started, with its settings as one JSON argument. It lives as long as the
 * channel to its parent: when the parent ends, however it ends, the node stops, and removes its data
 * directory when that was temporary.
 */

import { rm, rmdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { describeFailure, exitCodeOf } from '../command-error.ts'
import { makeStyle } from '../output/style.ts'
import { serveNode } from './serve-node.ts'
import { startFailure } from './start-failure.ts'

export interface LocalNodeSettings {
  readonly server: Record<string, unknown> & { readonly id: string; readonly data: string }
  readonly temporary: boolean
}

/** What the node tells its parent. */
export type LocalNodeMessage =
  | { readonly kind: 'serving'; readonly address: string; readonly http: string }
  | { readonly kind: 'failed'; readonly lines: readonly string[] }

const tell = (message: LocalNodeMessage): void => {
  process.send?.(message)
}

async function main(): Promise<void> {
  const { server, temporary } = JSON.parse(process.argv[2] ?? '{}') as LocalNodeSettings
  try {
    const { resolveConfig } = await import('@quorate/server')
    await serveNode(resolveConfig([server]), {
      onServing: ({ address, http }) => tell({ kind: 'serving', address, http }),
      async onStopped() {
        if (!temporary || process.connected) return
        await rm(server.data, { recursive: true, force: true })
        // The last node takes the common directory with it; before that it is not empty, which is fine.
        await rmdir(dirname(server.data)).catch(() => undefined)
      },
    })
  } catch (error) {
    const failure = startFailure(error, server)
    const lines = describeFailure(failure, makeStyle(false))
    tell({ kind: 'failed', lines })
    process.stderr.write(`${lines.join('\n')}\n`)
    process.exitCode = exitCodeOf(failure)
    process.disconnect?.()
    setTimeout(() => process.exit(), 1_000).unref()
  }
}

await main()
