/**
 * The history of figure 8 of the Raft paper: an entry of an older epoch lies on a majority, and is overwritten all the
 * same. So nobody may carry it out before an entry of the leader's own epoch lies on a majority, too. Random runs hardly
 * meet it: a follower must get the one batch and not the next.
 *
 *   1. A leads. It takes a write, which nobody else gets.
 *   2. B leads. It begins its epoch with an entry, which nobody else gets, and dies.
 *   3. A leads again, by its own log and C's. C gets the write of 1, and not the entry that begins A's new epoch. A dies.
 *   4. B leads, by its own log and C's, since its log ends with the newer epoch. The write of 1 goes, on C and on A.
 */

import { isQuorateError, limits, pause } from '@quorate/core'
import { ledDifferences } from '../checkers/logs.ts'
import type { SimMachine } from '../world/sim-machine.ts'
import { leads, notes, seatOf, serves, type ToldStage } from './told-history.ts'

/** Longer than a batch: what comes behind it goes in another message. */
const LONG = 'x'.repeat(limits.logBatchBytes + 1)

const endOf = (machine: SimMachine) => seatOf(machine)!.replica.log.end

export async function olderEpoch(stage: ToldStage): Promise<void> {
  const { cluster, logs } = stage
  const { client } = cluster.newClient('c1')
  const [a, ...others] = await stage.begin(client)

  for (const other of others) {
    stage.cut(a.peer, other.peer)
    stage.cut('c1', other.peer)
  }
  const before = endOf(a)
  const late = client.table(notes).put({ id: 'long', text: LONG }, { timeoutMs: 200 })
  await late.catch(onlyUnknown)
  const long = endOf(a)
  if (long.position !== before.position + 1) throw new Error('A has not taken the write')

  await stage.until('B leads', () => others.some(leads))
  const b = others.find(leads)!
  const c = others.find(one => one !== b)!
  stage.cut(b.peer, c.peer)
  await stage.until('B has begun its epoch', () => endOf(b).epoch > long.epoch)
  // Until it is on its disk.
  await pause(client.clock, 20)
  b.crash('power cut')
  if (endOf(c).position !== before.position) throw new Error('C has the entry that begins the epoch of B')

  const gotLong = cutAfterLong(stage, a, c)
  cluster.network.healAll()
  await stage.until('C has the write and no more', () => gotLong() && endOf(c).position === long.position)
  await pause(client.clock, 100)
  a.crash('power cut')
  if (endOf(c).epoch !== long.epoch) throw new Error('C has the entry that begins the second epoch of A')

  cluster.network.healAll()
  b.start()
  await stage.until('B leads again', () => serves(b))
  if (endOf(c).epoch === long.epoch) throw new Error('C still has the write')
  a.start()
  await stage.until('all are alike', () => ledDifferences(cluster).length === 0)
  logs.look()
}

/** Cuts A off from C when C gets the long message of A's second epoch: what A has sent behind it is lost. */
function cutAfterLong(stage: ToldStage, a: SimMachine, c: SimMachine): () => boolean {
  const first = endOf(a).epoch
  let isCut = false
  stage.onDeliver = (from, to, frame) => {
    const isIt = frame.length > LONG.length && from === a.peer && to === c.peer
    if (!isIt || (seatOf(a)?.leading?.epoch ?? 0) <= first) return
    stage.cluster.network.cut(a.peer, c.peer)
    isCut = true
  }
  return () => isCut
}

function onlyUnknown(error: unknown): void {
  if (!isQuorateError(error) || error.outcome !== 'unknown') throw error
}
