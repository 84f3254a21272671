/** Receipts and contexts for people. */

import type { Receipt } from '@quorate/client'
import type { Style } from './style.ts'

export const contextText = (context: Uint8Array): string => Buffer.from(context).toString('base64')

export function receiptLines(receipt: Receipt, context: Uint8Array, style: Style): string[] {
  const who = receipt.answered.map(({ node, role, for: home }) =>
    role === 'home' ? style.cyan(node) : style.yellow(`${node} (for ${home ?? '?'})`),
  )
  const extras = [
    ...(receipt.hinted.length > 0 ? [`hints kept for ${receipt.hinted.join(', ')}`] : []),
    ...(receipt.repaired.length > 0 ? [`repaired ${receipt.repaired.join(', ')}`] : []),
    ...(receipt.hedged ? ['hedged'] : []),
  ]
  return [
    `  ${style.dim('answered ')} ${who.join(' ')}  ${style.dim(`${receipt.needed} needed of ${receipt.replicas}, ${receipt.route.length > 1 ? 'route' : 'coordinator'} ${receipt.route.join(' → ')}`)}`,
    `  ${style.dim('guarantee')} ${receipt.overlap ? receipt.guarantee : style.yellow(receipt.guarantee)}`,
    ...(extras.length === 0 ? [] : [`  ${style.dim('also     ')} ${extras.join('; ')}`]),
    `  ${style.dim('context  ')} ${contextText(context)}`,
  ]
}
