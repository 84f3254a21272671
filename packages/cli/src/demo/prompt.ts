/** The demo's prompt. */
import type { Terminal } from '../output/terminal.ts'
import type { LocalCluster } from '../server/local-cluster.ts'

export async function runPrompt(
  _cluster: LocalCluster,
  _terminal: Terminal,
  _example: string,
): Promise<void> {
  await new Promise(() => {})
}
