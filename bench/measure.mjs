// Closed-loop measurement: `concurrency` callers, each with one operation in flight, for `seconds`.
export async function measure(concurrency, seconds, operation) {
  const latencies = []
  let done = 0
  let failed = 0
  const began = process.hrtime.bigint()
  const end = began + BigInt(Math.round(seconds * 1e9))
  const caller = async number => {
    for (let turn = 0; ; turn++) {
      const start = process.hrtime.bigint()
      if (start >= end) return
      try {
        await operation(number, turn)
        done++
      } catch {
        failed++
      }
      latencies.push(Number(process.hrtime.bigint() - start) / 1e6)
    }
  }
  await Promise.all(Array.from({ length: concurrency }, (_, number) => caller(number)))
  const elapsed = Number(process.hrtime.bigint() - began) / 1e9
  latencies.sort((a, b) => a - b)
  const at = share =>
    Number((latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? 0).toFixed(3))
  return { opsPerSecond: Math.round(done / elapsed), p50Ms: at(0.5), p99Ms: at(0.99), failed }
}

export const round = (value, digits = 2) => (value === null ? null : Number(value.toFixed(digits)))
