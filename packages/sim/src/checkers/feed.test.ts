import { expect, it } from 'vitest'
import { type FeedChange, newFeedHistory } from '../workloads/feed-consumer.ts'
import { checkFeed } from './feed.ts'

const change = (position: number, before: string[], after: string[]): FeedChange => ({
  epoch: 1,
  position,
  row: 'k',
  before,
  after,
})
const told = (...changes: FeedChange[]) => ({ ...newFeedHistory(), changes: new Map([[0, changes]]) })
const final = new Map([['k', ['a', 'b']]])

it('what leads to the row as it is, without a gap, is complete', () => {
  expect(checkFeed(told(change(1, [], ['a']), change(3, ['a'], ['a', 'b'])), final)).toEqual([])
})

it('a change that was passed over, in the middle, at the end, or all of them, is found', () => {
  for (const feed of [
    told(change(3, ['a'], ['a', 'b'])),
    told(change(1, [], ['a'])),
    told(change(1, [], ['a']), change(4, ['x'], ['a', 'b'])),
    told(),
  ])
    expect(checkFeed(feed, final).map(({ checker }) => checker)).toContain('feed-complete')
})

it('what the feed said to be gone is owed no more, and nothing else', () => {
  const gone = { ...told(change(3, ['a'], ['a', 'b'])), gaps: new Set([0]) }
  expect(checkFeed(gone, final)).toEqual([])
  expect(checkFeed(gone, new Map([['k', ['a', 'b', 'c']]]))).toHaveLength(1)
})

it('an order that no feed has is told', () => {
  const odd = { ...told(change(1, [], ['a']), change(3, ['a'], ['a', 'b'])), oddities: ['odd'] }
  expect(checkFeed(odd, final)).toEqual([{ checker: 'feed-order', message: 'odd' }])
})
