/** Writes of one row, and how many values stand in it then. */

import { isQuorateError } from '@quorate/core'
import { type NodeName, posts } from './cast.ts'
import type { Stage } from './stage.ts'

const KEY = 'post'
/** Each tenth is told. */
const TOLD_EVERY = 10
const WHO = 'job'

export async function piling(stage: Stage, node: NodeName, n: number, informed: boolean): Promise<void> {
  const { timeline } = stage
  const rows = stage.steered(node).table(posts)
  const context = informed ? (await rows.get(KEY)).context : undefined
  let refused = false
  try {
    await rows.put({ key: KEY, version: n }, { context })
  } catch (error) {
    if (!isQuorateError(error) || error.code !== 'TOO_MANY_SIBLINGS') throw error
    refused = true
  }
  const values = (await rows.get(KEY)).siblings.length
  const isFirst = refused && !timeline.history.some(event => event.kind === 'pile' && event.refused)
  timeline.history.push({ kind: 'pile', who: WHO, values, refused, atMs: timeline.nowMs })
  if (isFirst) timeline.step(WHO, `write ${n} is refused: the row has ${values} values beside each other`)
  else if (n % TOLD_EVERY === 0 && !refused)
    timeline.step(
      WHO,
      `has written ${n} times; a reader is shown ${values === 1 ? 'one value' : `${values} values`}`,
    )
}
