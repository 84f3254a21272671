/**
 * One answer, three forms: a table (or a drawing) for a terminal, the same columns as TSV for a pipe, one
 * JSON document for programs. Data goes to stdout, warnings and notes to stderr.
 */

import { padEnd, padStart, type Style, textWidth } from './style.ts'
import type { Terminal } from './terminal.ts'

export type OutputFormat = 'auto' | 'json' | 'table' | 'tsv'

export interface Column<T> {
  readonly name: string
  readonly value: (item: T) => string | number | undefined
  /** Colour on a terminal, by item. */
  readonly paint?: (text: string, item: T, style: Style) => string
}

export interface Answer<T> {
  readonly kind: string
  readonly items: readonly T[]
  readonly columns: readonly Column<T>[]
  readonly warnings?: readonly string[]
  /** Some of what was asked for is not in the answer. */
  readonly partial?: boolean
  /** Further fields of the JSON document. */
  readonly fields?: Readonly<Record<string, unknown>>
  /** A terminal gets this instead of the table. */
  readonly drawing?: (style: Style) => readonly string[]
  /** A line after the table, on stderr. */
  readonly footer?: string
}

export class Output {
  readonly #terminal: Terminal
  readonly #format: OutputFormat

  constructor(terminal: Terminal, format: OutputFormat) {
    this.#terminal = terminal
    this.#format = format === 'auto' ? (terminal.out.isTerminal ? 'table' : 'tsv') : format
  }

  get format(): Exclude<OutputFormat, 'auto'> {
    return this.#format as Exclude<OutputFormat, 'auto'>
  }

  get terminal(): Terminal {
    return this.#terminal
  }

  answer<T>(answer: Answer<T>): void {
    const { out } = this.#terminal
    const warnings = answer.warnings ?? []
    if (this.#format === 'json') {
      const { kind, items, partial = false, fields } = answer
      const document = { kind, items, warnings, partial, ...fields }
      out.write(`${JSON.stringify(document, null, out.isTerminal ? 2 : undefined)}\n`)
      return
    }
    const lines =
      this.#format === 'tsv'
        ? tsvLines(answer.columns, answer.items)
        : (answer.drawing?.(out.style) ?? tableLines(answer.columns, answer.items, out.style))
    if (lines.length > 0) out.write(`${lines.join('\n')}\n`)
    for (const warning of warnings) this.warn(warning)
    if (answer.footer !== undefined && this.#format === 'table') this.note(answer.footer)
  }

  warn(text: string): void {
    const { error } = this.#terminal
    error.write(`${error.style.yellow('warning:')} ${text}\n`)
  }

  note(text: string): void {
    const { error } = this.#terminal
    error.write(`${error.style.dim(text)}\n`)
  }
}

/** Data may hold anything: what would break a line or speak to the terminal is shown, not sent. */
const visible = (text: string): string =>
  text.replace(
    /[\x00-\x1f\x7f]/g,
    code => ESCAPES.get(code) ?? `\\x${code.charCodeAt(0).toString(16).padStart(2, '0')}`,
  )

const ESCAPES = new Map([
  ['\t', '\\t'],
  ['\n', '\\n'],
  ['\r', '\\r'],
])

const cellText = (value: string | number | undefined): string =>
  value === undefined ? '' : visible(String(value))

export function tsvLines<T>(columns: readonly Column<T>[], items: readonly T[]): string[] {
  return [
    columns.map(column => column.name).join('\t'),
    ...items.map(item => columns.map(column => cellText(column.value(item))).join('\t')),
  ]
}

/** Numbers stand right, everything else left; the header is dim; nothing is boxed. */
export function tableLines<T>(columns: readonly Column<T>[], items: readonly T[], style: Style): string[] {
  if (items.length === 0) return []
  const cells = items.map(item => columns.map(column => column.value(item)))
  const isNumber = columns.map((_, i) =>
    cells.every(row => typeof row[i] === 'number' || row[i] === undefined),
  )
  const text = (value: string | number | undefined): string =>
    typeof value === 'number' && Number.isInteger(value) ? value.toLocaleString('en-US') : cellText(value)
  const widths = columns.map((column, i) =>
    Math.max(textWidth(column.name), ...cells.map(row => textWidth(text(row[i])))),
  )
  const pad = (value: string, i: number): string =>
    isNumber[i] === true
      ? padStart(value, widths[i]!)
      : i === columns.length - 1
        ? value
        : padEnd(value, widths[i]!)
  const header = columns.map((column, i) => style.dim(pad(column.name, i))).join('  ')
  const rows = cells.map((row, r) =>
    columns
      .map((column, i) => {
        const padded = pad(text(row[i]), i)
        return column.paint === undefined ? padded : column.paint(padded, items[r]!, style)
      })
      .join('  ')
      .trimEnd(),
  )
  return [header.trimEnd(), ...rows]
}
