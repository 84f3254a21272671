/** The door of the simulator. */

export { ManualClock } from './world/manual-clock.ts'
export { SimDisk } from './world/sim-disk.ts'
export { SimTable } from './world/sim-table.ts'
export type { StorageFault, StorageHooks, StorageWorld } from './world/storage-faults.ts'
