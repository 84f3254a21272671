/** Checks of the policy by which the cluster may balance itself; nothing is switched on when one fails. */

import { QuorateError } from '../base/errors.ts'
import { AUTO_MEASURES, type AutoPolicy } from '../catalog/cluster-changes.ts'

const HOUR_MS = 3_600_000

export const defaultAutoPolicy: AutoPolicy = {
  by: 'bytes',
  above: 1.25,
  below: 1.1,
  everyMs: HOUR_MS,
  bytesMax: 10 * 1024 ** 3,
}

const ABOVE_MAX = 100
/** Shorter is no limit; longer is the same as off. */
const EVERY_MS_MIN = 1_000
const EVERY_MS_MAX = 366 * 24 * HOUR_MS

const bad = (field: string, message: string): QuorateError =>
  new QuorateError('BAD_REQUEST', `${field}: ${message}`, { data: { field } })

export function autoPolicyOf(given: unknown): AutoPolicy {
  if (typeof given !== 'object' || given === null) throw bad('policy', 'must be an object')
  const unknown = Object.keys(given).find(key => !(key in defaultAutoPolicy))
  if (unknown !== undefined)
    throw bad(unknown, `is not known; known: ${Object.keys(defaultAutoPolicy).join(', ')}`)
  const { by, above, below, everyMs, bytesMax } = { ...defaultAutoPolicy, ...(given as Partial<AutoPolicy>) }
  if (!AUTO_MEASURES.includes(by)) throw bad('by', `is ${AUTO_MEASURES.join(' or ')}, not "${String(by)}"`)
  if (typeof above !== 'number' || !(above > 1) || above > ABOVE_MAX)
    throw bad('above', `is a number above 1 and at most ${ABOVE_MAX}, such as 1.25, not ${String(above)}`)
  if (typeof below !== 'number' || !(below > 1) || below >= above)
    throw bad('below', `is a number above 1 and below "above" (${above}), such as 1.1, not ${String(below)}`)
  if (!Number.isSafeInteger(everyMs) || everyMs < EVERY_MS_MIN || everyMs > EVERY_MS_MAX)
    throw bad('everyMs', `is from ${EVERY_MS_MIN} to ${EVERY_MS_MAX} ms, not ${String(everyMs)}`)
  if (!Number.isSafeInteger(bytesMax) || bytesMax < 1)
    throw bad('bytesMax', `is a whole number of bytes above 0, not ${String(bytesMax)}`)
  return { by, above, below, everyMs, bytesMax }
}
