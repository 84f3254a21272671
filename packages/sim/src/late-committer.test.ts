/** A commit whose committer stalls between its steps, while others take the task back, changes nothing afterwards. */

import { table } from '@quorate/client/pure'
import { pause } from '@quorate/core'
import { expect, test } from 'vitest'
import { until, withCluster } from './testing/live-cluster.ts'

const rows = table<{ k: string; v: number }>('rows', { key: 'k' })

test('members stay as they are when a plan that was taken back goes on late', async () => {
  await withCluster({ seed: 71 }, async ({ client, cluster }) => {
    await client.createTable('rows', { key: 'k', partitioning: { kind: 'fixed', partitions: 4 } })
    for (let v = 0; v < 20; v++) await client.table(rows).put({ k: `row-${v}`, v })
    const [slow, other] = cluster.machines.map(({ node }) => node!)
    cluster.newcomer('z1').start()
    await until({ client }, () => slow!.catalog.members.members.length === 4)
    const change = slow!.coordination.changeMembers.bind(slow!.coordination)
    let goOn: () => void = () => {}
    const stalled = new Promise<void>(resolve => {
      goOn = resolve
    })
    slow!.coordination.changeMembers = async make => {
      await stalled
      return change(make)
    }
    const plan = await slow!.control.plan()
    const committed = slow!.control.commit(plan.id).then(
      () => 'committed',
      (error: Error) => error.message,
    )
    await until({ client }, () => other!.control.changes.task?.state === 'committing')
    // Its own driving would wait behind the same door.
    slow!.control.isDriver = () => false
    other!.control.isDriver = () => true
    await other!.control.cancel(plan.id)
    await until({ client }, () => other!.control.changes.task === undefined)
    const before = other!.catalog.members
    goOn()
    expect(await committed).toMatch(/stale: the members have changed|there is no task/)
    await pause(client.clock, 5_000)
    expect(other!.catalog.members).toEqual(before)
    expect(before.members.map(({ state }) => state)).toEqual(['active', 'active', 'active', 'staged'])
    const again = await other!.control.plan()
    await other!.control.commit(again.id)
    await until({ client }, () => other!.control.changes.task === undefined)
    expect(other!.catalog.members.members.every(({ state }) => state === 'active')).toBe(true)
  })
})
