/** The second door of core, for tests: what every implementation of a port must pass, and a clock moved by hand. */

export { type ClockSubject, clockConformance } from './clock.conformance.ts'
export type { ConformanceCase } from './conformance-case.ts'
export { type DiskSubject, diskConformance } from './disk.conformance.ts'
export { randomConformance } from './random.conformance.ts'
export { type TableSubject, tableConformance } from './table.conformance.ts'
export { ManualClock } from './testing/manual-clock.ts'
export { type TransportSubject, transportConformance } from './transport.conformance.ts'
