/** The door of the simulator. */

export type { Evidence, Violation } from './checkers/evidence.ts'
export { checkEpochs, checkLists } from './checkers/list-order.ts'
export { type FaultCounts, type FaultKind, faultKinds } from './faults/fault-kinds.ts'
export { type LabHost, runSetting, type SettingResult } from './lab/run-setting.ts'
export type { Scenario, Setting } from './lab/scenario.ts'
export { scenarios } from './lab/scenarios.ts'
export { type Step, timeText } from './lab/timeline.ts'
export { runSwarm, type SwarmHost, type SwarmResult, type Verdict } from './scenarios/swarm.ts'
export {
  describeOptions,
  type SwarmOptions,
  type SwarmOverrides,
  swarmOptions,
} from './scenarios/swarm-options.ts'
export { type ListAppend, ListHistory, type ListRead } from './workloads/list-history.ts'
export { MachineTime, ProcessClock } from './world/machine-time.ts'
export { makeClient, type SimClient } from './world/sim-client.ts'
export { type ClusterHooks, type ClusterOptions, SimCluster } from './world/sim-cluster.ts'
export { SimDisk } from './world/sim-disk.ts'
export { type MachineState, SimMachine } from './world/sim-machine.ts'
export { calmConditions, type LinkConditions, type NetworkFault, SimNetwork } from './world/sim-network.ts'
export { SimTable } from './world/sim-table.ts'
export { Simulation, type SimulationOptions } from './world/simulation.ts'
export type { StorageFault, StorageHooks, StorageWorld } from './world/storage-faults.ts'
