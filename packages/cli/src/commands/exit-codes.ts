import { exitCodeMeanings, exitCodes } from '../exit-codes.ts'
import type { Output } from '../output/output.ts'

export function listExitCodes(output: Output): void {
  const items = (Object.keys(exitCodes) as (keyof typeof exitCodes)[]).map(name => ({
    code: exitCodes[name],
    name,
    meaning: exitCodeMeanings[name],
  }))
  output.answer({
    kind: 'exit-codes',
    items,
    columns: [
      { name: 'CODE', value: item => item.code },
      { name: 'NAME', value: item => item.name },
      { name: 'MEANING', value: item => item.meaning },
    ],
  })
}
