/** What a table would have kept under another rule, in words. */

import type { Style } from './style.ts'
import type { TableItem } from './table-text.ts'
import { count } from './words.ts'

export interface Measured {
  readonly hours: readonly {
    readonly fromMs: number
    readonly writes: number
    readonly overwriting: number
  }[]
  /** Nodes that could not be asked. */
  readonly missing: readonly string[]
}

const HOURS_SHOWN = 6

export function shadowLines(item: TableItem, measured: Measured | undefined, style: Style): string[] {
  if (item.shadow === undefined) return []
  const intro = `measured against rule ${item.shadow}: writes that replaced a value which their writer had not said to have seen; under ${item.shadow} both would stand`
  const hours = measured?.hours ?? []
  return [
    '',
    `  ${intro}`,
    ...(hours.length === 0 ? [style.dim('  no writes since it is measured')] : []),
    ...hours.slice(-HOURS_SHOWN).map(({ fromMs, writes, overwriting }) => {
      const share = writes === 0 ? 0 : (overwriting / writes) * 100
      const line = `${new Date(fromMs).toISOString().slice(0, 'YYYY-MM-DDTHH:mm'.length)}Z  ${overwriting} of ${count(writes, 'write')}, ${share.toFixed(share < 10 ? 1 : 0)} %`
      return `  ${overwriting === 0 ? style.dim(line) : style.yellow(line)}`
    }),
    style.dim(
      '  what lost to a write that is known not to have seen it is in the ledger besides: quorate ledger --count',
    ),
  ]
}
