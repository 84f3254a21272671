/** Rows as the lines of a CSV file, whose columns come first: they are those of the first thousand rows. */

import type { Row } from '@quorate/client'
import { csvText } from './csv.ts'

const HEADER_ROWS = 1_000

export class CsvShape {
  readonly #lost = new Set<string>()
  /** Fields with values that CSV has no form for. */
  readonly #inexact = new Set<string>()
  readonly #columns: Set<string>
  #waiting: Row[] | undefined = []

  constructor(keys: readonly string[]) {
    this.#columns = new Set(keys)
  }

  *add(row: Row): Generator<string> {
    for (const [name, value] of Object.entries(row))
      if (value === null || !['string', 'number', 'boolean'].includes(typeof value)) this.#inexact.add(name)
    if (this.#waiting === undefined) {
      for (const name of Object.keys(row)) if (!this.#columns.has(name)) this.#lost.add(name)
      yield this.#line(row)
      return
    }
    for (const name of Object.keys(row)) this.#columns.add(name)
    this.#waiting.push(row)
    if (this.#waiting.length >= HEADER_ROWS) yield* this.end()
  }

  *end(): Generator<string> {
    const waiting = this.#waiting
    this.#waiting = undefined
    if (waiting === undefined) return
    yield [...this.#columns].map(csvText).join(',')
    for (const row of waiting) yield this.#line(row)
  }

  #line(row: Row): string {
    return [...this.#columns].map(name => csvText(row[name])).join(',')
  }

  /** What the file does not hold as the table does. */
  warnings(): string[] {
    return [
      ...(this.#lost.size > 0
        ? [`not in the CSV, since they first appear after row ${HEADER_ROWS}: ${[...this.#lost].join(', ')}`]
        : []),
      ...(this.#inexact.size > 0
        ? [
            `CSV holds texts, numbers and booleans; not exact in it: ${[...this.#inexact].join(', ')} (JSON Lines keeps every value: --format jsonl)`,
          ]
        : []),
    ]
  }
}
