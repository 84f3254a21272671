/** What happened in one run, in words a newcomer reads, and the history that its checker judges. */

export interface Step {
  /** Simulated, from the beginning of the story. */
  readonly atMs: number
  readonly who: string
  readonly what: string
}

export interface LabWrite {
  readonly kind: 'write'
  readonly who: string
  readonly key: string
  /** Grows with each write of a key, from 1. */
  readonly version: number
  readonly callMs: number
  readonly returnMs: number
  /** Unknown: the writer gave up, and the write may be there or not. */
  readonly outcome: 'acknowledged' | 'unknown' | 'refused'
}

export interface LabRead {
  readonly kind: 'read'
  readonly who: string
  readonly key: string
  /** Undefined: there was no row. */
  readonly version: number | undefined
  readonly callMs: number
  readonly returnMs: number
}

/** A row by its key, and how new it is. */
export interface LabRow {
  readonly key: string
  readonly version: number
}

/** All is healed and at rest, and this is what there is. */
export interface LabFinal {
  readonly kind: 'final'
  readonly rows: readonly LabRow[]
  /** What was discarded, with the node on which it is recorded. */
  readonly ledger: readonly (LabRow & { readonly node: string })[]
}

/** Somebody asked for what is kept under his own number, and got what `owner` had put there. */
export interface LabShown {
  readonly kind: 'shown'
  readonly who: string
  readonly number: string
  /** Undefined: nothing is there. */
  readonly owner: string | undefined
  readonly atMs: number
}

/** Somebody put something into the cart, or took it out, and was told that it is done. */
export interface LabCartChange {
  readonly kind: 'cart-change'
  readonly who: string
  readonly deed: 'puts in' | 'takes out'
  readonly item: string
  readonly callMs: number
  readonly returnMs: number
}

/** What is in the cart when all is at rest. */
export interface LabCart {
  readonly kind: 'cart'
  readonly items: readonly string[]
}

/** Somebody tried to write, and how many values the row had then. */
export interface LabPile {
  readonly kind: 'pile'
  readonly who: string
  readonly values: number
  /** The write was refused: there were too many. */
  readonly refused: boolean
  readonly atMs: number
}

export type LabEvent = LabWrite | LabRead | LabFinal | LabShown | LabCartChange | LabCart | LabPile

export class Timeline {
  readonly steps: Step[] = []
  /** In the order of their ends. */
  readonly history: LabEvent[] = []
  readonly #nowMs: () => number
  #beganMs = 0

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs
  }

  /** The story begins now: what was before was setting up. */
  begin(): void {
    this.#beganMs = this.#nowMs()
  }

  get nowMs(): number {
    return this.#nowMs() - this.#beganMs
  }

  step(who: string, what: string): void {
    this.steps.push({ atMs: this.nowMs, who, what })
  }
}

/** `00:01.250`: minutes, seconds and milliseconds of the story. */
export function timeText(ms: number): string {
  const whole = Math.floor(ms)
  const two = (value: number): string => String(value).padStart(2, '0')
  const milliseconds = String(whole % 1_000).padStart(3, '0')
  return `${two(Math.floor(whole / 60_000))}:${two(Math.floor(whole / 1_000) % 60)}.${milliseconds}`
}
