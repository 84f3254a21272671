import { SeededRandom } from '@quorate/core'
import { clockConformance, diskConformance, ManualClock, tableConformance } from '@quorate/core/conformance'
import { test } from 'vitest'
import { SimDisk } from './sim-disk.ts'
import { SimTable } from './sim-table.ts'

for (const { name, run } of clockConformance) {
  test(`ManualClock: ${name}`, () =>
    run(async () => {
      const clock = new ManualClock()
      return { clock, pass: async ms => clock.advance(ms) }
    }))
}

let seed = 1
const world = (clock: ManualClock) => ({ clock, random: new SeededRandom(seed++) })

/** Cases await real promises, so somebody must turn the clock meanwhile. */
async function turning(run: (clock: ManualClock) => Promise<void>): Promise<void> {
  const clock = new ManualClock()
  await clock.drive(run(clock))
}

for (const { name, run } of diskConformance) {
  test(`SimDisk: ${name}`, () =>
    turning(clock =>
      run(async () => {
        const disk = new SimDisk(world(clock))
        const powerCut = async () => {
          disk.powerCut()
          return disk.mount()
        }
        return { disk: disk.mount(), reopen: async () => disk.mount(), powerCut }
      }),
    ))
}

for (const { name, run } of tableConformance) {
  test(`SimTable: ${name}`, () =>
    turning(clock =>
      run(async () => {
        const table = new SimTable(world(clock))
        const powerCut = async () => {
          table.powerCut()
          return table.mount()
        }
        return { table: table.mount(), reopen: async () => table.mount(), powerCut }
      }),
    ))
}
