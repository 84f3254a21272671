/**
 * A progress bar on stderr: units done of all, rate, time left. On a terminal one line is redrawn; anywhere
 * else one line appears every ten seconds, so that logs stay readable.
 */

import type { Style } from './style.ts'
import { duration, wholeNumber } from './words.ts'

const REDRAW_MS = 100
const LINE_MS = 10_000
const BAR_WIDTH = 28
/** The rate is that of the last few seconds, not of all time: a stall shows at once. */
const RATE_WINDOW_MS = 3_000

export interface ProgressTarget {
  readonly isTerminal: boolean
  readonly style: Style
  write(text: string): void
}

export class Progress {
  readonly #target: ProgressTarget
  readonly #label: string
  readonly #unit: string
  readonly #total: number | undefined
  readonly #startedMs = performance.now()
  readonly #samples: { ms: number; done: number }[] = []
  readonly #timer: NodeJS.Timeout
  #done = 0
  #lineMs = performance.now()
  #drawn = false
  /** What is said behind the bar. */
  note = ''

  constructor(target: ProgressTarget, label: string, unit: string, total: number | undefined) {
    this.#target = target
    this.#label = label
    this.#unit = unit
    this.#total = total
    this.#timer = setInterval(() => this.#tick(), REDRAW_MS)
    this.#timer.unref()
    this.#draw()
  }

  set done(value: number) {
    this.#done = value
  }

  get done(): number {
    return this.#done
  }

  get elapsedMs(): number {
    return performance.now() - this.#startedMs
  }

  /** Prints a line above the bar. */
  say(line: string): void {
    this.#clear()
    this.#target.write(`${line}\n`)
    this.#draw()
  }

  /** Takes the bar away; `line` stays in its place. */
  end(line?: string): void {
    clearInterval(this.#timer)
    this.#clear()
    if (line !== undefined) this.#target.write(`${line}\n`)
  }

  #tick(): void {
    const now = performance.now()
    this.#samples.push({ ms: now, done: this.#done })
    while (this.#samples.length > 2 && now - this.#samples[0]!.ms > RATE_WINDOW_MS) this.#samples.shift()
    if (this.#target.isTerminal) this.#draw()
    else if (now - this.#lineMs >= LINE_MS) {
      this.#lineMs = now
      this.#target.write(`${this.#text(makePlain)}\n`)
    }
  }

  #clear(): void {
    if (this.#target.isTerminal && this.#drawn) this.#target.write('\r\u001b[K')
    this.#drawn = false
  }

  #draw(): void {
    if (!this.#target.isTerminal) return
    this.#target.write(`\r${this.#text(bar(this.#target.style))}\u001b[K`)
    this.#drawn = true
  }

  #rate(): number {
    const first = this.#samples[0]
    const now = performance.now()
    if (first === undefined || now - first.ms < 300) return (this.#done / Math.max(1, this.elapsedMs)) * 1000
    return ((this.#done - first.done) / (now - first.ms)) * 1000
  }

  #text(draw: (share: number) => string): string {
    const rate = this.#rate()
    const rateText = `${wholeNumber(rate)} ${this.#unit}/s`
    const note = this.note === '' ? '' : `  ${this.note}`
    if (this.#total === undefined) return `  ${this.#label}  ${wholeNumber(this.#done)}  ${rateText}${note}`
    const share = this.#total === 0 ? 1 : Math.min(1, this.#done / this.#total)
    const leftMs = rate > 0 ? ((this.#total - this.#done) / rate) * 1000 : Number.NaN
    const eta =
      Number.isFinite(leftMs) && this.#done > 0
        ? `  ${duration(Math.ceil(leftMs / 1000) * 1000).replace('.0 s', ' s')} left`
        : ''
    return `  ${this.#label}  ${draw(share)} ${String(Math.floor(share * 100)).padStart(3)} %  ${wholeNumber(this.#done)}/${wholeNumber(this.#total)}  ${rateText}${eta}${note}`
  }
}

const makePlain = (): string => ''

const bar =
  (style: Style) =>
  (share: number): string => {
    const full = Math.floor(share * BAR_WIDTH)
    return style.cyan('━'.repeat(full)) + style.dim('─'.repeat(BAR_WIDTH - full))
  }
