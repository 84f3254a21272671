/** Lets every pending promise settle: `setImmediate` runs only when the microtask queue is empty. */
export function drain(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}
