/** Where a range table is cut before it has any rows. */

import { encodeKey, type KeyValue, splitPointsFromSample } from '@quorate/core'

/**
 * Partition keys at which ranges begin that each hold about as many keys of a sample; `ranges` − 1 of them, fewer when
 * keys are few. For `partitioning: { kind: 'range', splitPoints }`.
 */
export function sampledSplitPoints(sample: readonly KeyValue[], ranges: number): KeyValue[] {
  const byEncoding = new Map(sample.map(key => [encodeKey(key), key]))
  return splitPointsFromSample([...byEncoding.keys()], ranges - 1).map(point => byEncoding.get(point)!)
}
