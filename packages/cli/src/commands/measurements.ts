/** Latencies by operation. */

export interface OperationReport {
  readonly operation: string
  readonly count: number
  readonly errors: number
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
}

const ERRORS_SHOWN = 3

export class Measurements {
  readonly #latencies = new Map<string, number[]>()
  readonly #errors = new Map<string, number>()
  readonly firstErrors: string[] = []

  /** Times one operation; its error is counted, and thrown on when `add` is what failed. */
  async time<T>(operation: string, run: () => Promise<T>): Promise<void> {
    const began = performance.now()
    try {
      await run()
      const known = this.#latencies.get(operation)
      if (known === undefined) this.#latencies.set(operation, [performance.now() - began])
      else known.push(performance.now() - began)
    } catch (error) {
      this.#errors.set(operation, (this.#errors.get(operation) ?? 0) + 1)
      if (this.firstErrors.length < ERRORS_SHOWN)
        this.firstErrors.push(`${operation}: ${error instanceof Error ? error.message : String(error)}`)
      if (operation === 'add') throw error
    }
  }

  report(seconds: number): OperationReport[] {
    const names = [...new Set([...this.#latencies.keys(), ...this.#errors.keys()])].sort()
    return names.map(operation => {
      const sorted = [...(this.#latencies.get(operation) ?? [])].sort((a, b) => a - b)
      const at = (share: number): number =>
        sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
      return {
        operation,
        count: sorted.length,
        errors: this.#errors.get(operation) ?? 0,
        perSecond: sorted.length / Math.max(0.001, seconds),
        p50Ms: at(0.5),
        p99Ms: at(0.99),
        maxMs: sorted.at(-1) ?? 0,
      }
    })
  }
}
