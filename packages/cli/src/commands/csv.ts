/**
 * CSV (RFC 4180): quoted fields may hold commas, quotes and line ends. Records come with the line they
 * start on. Values that are written exactly as JavaScript writes a number are numbers; an empty unquoted
 * field is left out of the row.
 */

import { toJson } from '../output/json-value.ts'

export interface CsvRecord {
  readonly line: number
  readonly fields: readonly CsvField[]
}

export interface CsvField {
  readonly text: string
  readonly quoted: boolean
}

export class CsvReader {
  #text = ''
  #quoted = false
  /** Inside quotes; a quote was just seen there, so a second one stands for itself. */
  #inside = false
  #quoteSeen = false
  #fields: CsvField[] = []
  #line = 1
  #startLine = 1
  #skipLineFeed: boolean

  constructor() {
    this.#skipLineFeed = false
  }

  *push(chunk: string): Generator<CsvRecord> {
    for (const character of chunk) {
      if (this.#skipLineFeed) {
        this.#skipLineFeed = false
        if (character === '\n') continue
      }
      if (character === '\n' || (character === '\r' && !this.#inside)) this.#line++
      const record = this.#take(character)
      if (record !== undefined) yield record
    }
  }

  *end(): Generator<CsvRecord> {
    if (this.#inside && !this.#quoteSeen)
      throw new Error(`line ${this.#startLine}: a quoted field is not closed`)
    const record = this.#endRecord()
    if (record !== undefined) yield record
  }

  #take(character: string): CsvRecord | undefined {
    if (this.#inside && !this.#quoteSeen) {
      if (character === '"') this.#quoteSeen = true
      else this.#text += character
      return undefined
    }
    if (this.#quoteSeen) {
      this.#quoteSeen = false
      if (character === '"') {
        this.#text += '"'
        return undefined
      }
      this.#inside = false
    }
    if (character === '"' && this.#text === '' && !this.#quoted) {
      this.#quoted = true
      this.#inside = true
    } else if (character === ',') this.#endField()
    else if (character === '\n') return this.#endRecord()
    else if (character === '\r') {
      this.#skipLineFeed = true
      return this.#endRecord()
    } else this.#text += character
    return undefined
  }

  #endField(): void {
    this.#fields.push({ text: this.#text, quoted: this.#quoted })
    this.#text = ''
    this.#quoted = false
    this.#inside = false
    this.#quoteSeen = false
  }

  #endRecord(): CsvRecord | undefined {
    const isBlank = this.#fields.length === 0 && this.#text === '' && !this.#quoted
    const line = this.#startLine
    this.#startLine = this.#line
    if (isBlank) return undefined
    this.#endField()
    const fields = this.#fields
    this.#fields = []
    return { line, fields }
  }
}

export function csvValue({ text, quoted }: CsvField): unknown {
  if (quoted) return text
  if (text === '-0') return -0
  if (text === '') return undefined
  if (text === 'true') return true
  if (text === 'false') return false
  return String(Number(text)) === text ? Number(text) : text
}

/** Texts, numbers and booleans come back as they were; anything else comes back as the text of its JSON. */
export function csvText(value: unknown): string {
  if (value === undefined || value === null) return ''
  if (Object.is(value, -0)) return '-0'
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  const text = typeof value === 'string' ? value : JSON.stringify(toJson(value))
  const looksOther = csvValue({ text, quoted: false }) !== text
  return looksOther || /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}
