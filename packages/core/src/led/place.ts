import type { TableId } from '../base/ids.ts'
import type { SingleLeaderReplication } from '../catalog/replication-settings.ts'
import type { CallSource } from '../updates/apply-update.ts'

/** A partition with a leader: which one, and what its table wants. */
export interface Place {
  readonly table: TableId
  readonly partition: number
  readonly settings: SingleLeaderReplication
  /** Of tables that ship calls unfrozen: what they answer on this node. */
  readonly calls: CallSource | undefined
}
