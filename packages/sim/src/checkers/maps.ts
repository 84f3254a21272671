/**
 * One owner set per key and version: whatever node says it, whenever, a version of a piece of a map is one and
 * the same map. And a node keeps only what the map says it keeps, once everything has settled.
 */

import { bytesEqual, type Catalog, encodeChunk } from '@quorate/core'
import type { SimCluster } from '../world/sim-cluster.ts'
import type { Violation } from './evidence.ts'

export class MapWatch {
  readonly #known = new Map<string, { bytes: Uint8Array; by: string }>()
  readonly violations: Violation[] = []

  follow(id: string, catalog: Catalog): void {
    this.#look(id, catalog)
    catalog.onChange(() => this.#look(id, catalog))
  }

  #look(id: string, catalog: Catalog): void {
    for (const { table, index, chunk } of catalog.chunks()) {
      const name = `${table}/${index}/${chunk.version}`
      const bytes = encodeChunk(chunk)
      const known = this.#known.get(name)
      if (known === undefined) this.#known.set(name, { bytes, by: id })
      else if (!bytesEqual(known.bytes, bytes))
        this.violations.push({
          checker: 'one-owner-set',
          message: `${id} and ${known.by} know different maps as version ${chunk.version} of piece ${index} of table ${table}`,
        })
    }
  }
}

/** Rows on nodes that do not keep their partition, and nodes that know different maps. */
export function leftBehind(cluster: SimCluster): string[] {
  const found: string[] = []
  const [first] = cluster.machines
  for (const { id, node } of cluster.machines) {
    if (node === undefined) continue
    for (const view of node.catalog.views()) {
      const { name } = view.descriptor
      const other = first?.node?.catalog.findNamed(name)
      if (other?.map.version !== view.map.version)
        found.push(`${id} knows another map of ${name} than ${first?.id}`)
      for (const { id: partition, from, to, holders, move } of view.map.partitions) {
        if (move !== undefined) found.push(`partition ${partition} of ${name} is still moving`)
        if (holders.includes(id)) continue
        for (const [key] of node.store.scan(from, to, { limit: 1 }))
          found.push(
            `${id} has row ${key.length} bytes of partition ${partition} of ${name}, which it does not keep`,
          )
      }
    }
  }
  return found
}
