/**
 * The in-memory B+ tree everything ordered is built on (`sorted-btree`), under one import.
 *
 * The package is CommonJS: under Node its class is the `default` of the default import, under bundlers
 * it is the default import itself. This file is the one place that knows.
 */

import imported from 'sorted-btree'

type SortedTreeClass = typeof imported.default

export const SortedTree: SortedTreeClass = ((imported as { default?: SortedTreeClass }).default ??
  imported) as SortedTreeClass
export type SortedTree<K, V> = InstanceType<typeof imported.default<K, V>>
