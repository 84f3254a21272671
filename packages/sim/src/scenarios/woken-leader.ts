/**
 * A leader sleeps, and wakes when another has been elected and has acknowledged a write. It has heard nothing of that,
 * and the first message that it finds is the question of a reader: it may not answer from its rows.
 */

import { isQuorateError, pause } from '@quorate/core'
import { notes, serves, type ToldStage } from './told-history.ts'

export async function wokenLeader(stage: ToldStage): Promise<void> {
  const { cluster } = stage
  const { client } = cluster.newClient('c1')
  const [old, ...others] = await stage.begin(client)
  const reader = cluster.newClient('c2').client
  await reader.ready()
  await reader.table(notes).get('note')

  old.time.pause()
  // What comes to it while it sleeps waits for it; of these it hears nothing.
  for (const other of others) {
    stage.cut(old.peer, other.peer)
    stage.cut('c2', other.peer)
  }
  stage.cut('c1', old.peer)
  await stage.until('another leads', () => others.some(serves))
  await client.table(notes).put({ id: 'note', text: 'new' }, { timeoutMs: 10_000 })
  const reading = reader.table(notes).get('note', { timeoutMs: 1_000 })
  reading.catch(() => {})
  await pause(client.clock, 50)
  old.time.resume()
  try {
    const { value } = await reading
    if (value?.text !== 'new')
      stage.violate('linearizable-read', `"${value?.text}" was read after "new" had been acknowledged`)
  } catch (error) {
    if (!isQuorateError(error)) throw error
  }
  cluster.network.healAll()
}
