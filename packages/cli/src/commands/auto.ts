/** cluster auto: may the cluster balance itself? Off unless someone switched it on. */

import type { AutoDocument } from '@quorate/server'
import type { CommandContext } from '../command-context.ts'
import { usageError } from '../command-error.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import { autoText } from '../output/auto-text.ts'

export interface AutoOptions {
  readonly by?: string
  readonly above?: number
  readonly below?: number
  readonly every?: number
  readonly maxBytes?: number
}

export async function clusterAuto(
  context: CommandContext,
  verb: 'on' | 'off' | undefined,
  options: AutoOptions,
): Promise<ExitCode> {
  const { by, above, below, every: everyMs, maxBytes: bytesMax } = options
  const policy = Object.fromEntries(
    Object.entries({ by, above, below, everyMs, bytesMax }).filter(([, value]) => value !== undefined),
  )
  if (verb !== 'on' && Object.keys(policy).length > 0)
    throw usageError('bounds and limits go with "on": quorate cluster auto on --above 1.25')
  const admin = await context.access.admin()
  const { auto } = verb === undefined ? await admin.cluster() : await admin.switchAuto(verb === 'on', policy)
  answer(context, auto)
  return exitCodes.ok
}

function answer({ output }: CommandContext, auto: AutoDocument | null): void {
  output.answer({
    kind: 'auto',
    items: auto === null ? [] : [auto],
    columns: [
      { name: 'AUTO', value: item => (item.isOn ? 'on' : 'off') },
      { name: 'BY', value: item => item.policy.by },
      { name: 'ABOVE', value: item => item.policy.above },
      { name: 'BELOW', value: item => item.policy.below },
      { name: 'EVERY MS', value: item => item.policy.everyMs },
      { name: 'MAX BYTES', value: item => item.policy.bytesMax },
      { name: 'PHASE', value: item => item.phase },
      { name: 'LAST PLAN', value: item => item.lastPlan },
    ],
    footer:
      autoText(auto) ??
      'the cluster does not balance itself; next: quorate cluster auto on, or once: quorate cluster rebalance',
  })
}
