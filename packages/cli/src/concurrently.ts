/** Runs `work` over all items, at most `width` at a time. The first failure stops taking new ones and is thrown. */
export async function concurrently<T>(
  items: Iterable<T> | AsyncIterable<T>,
  width: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const source = Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : items[Symbol.iterator]()
  let failed = false
  // An async iterator is asked for one item at a time: not all of them take overlapping calls.
  let turn: Promise<unknown> = Promise.resolve()
  const next = (): Promise<IteratorResult<T>> => {
    const result = turn.then(() => source.next())
    turn = result.catch(() => undefined)
    return result
  }
  const isAsync = Symbol.asyncIterator in items
  const worker = async (): Promise<void> => {
    try {
      while (!failed) {
        const { done, value } = isAsync ? await next() : (source as Iterator<T>).next()
        if (done === true) return
        await work(value)
      }
    } catch (error) {
      failed = true
      throw error
    }
  }
  await Promise.all(Array.from({ length: width }, worker))
}
