/**
 * Room for many small byte arrays in one larger one.
 *
 * Problem: every array of more than a few bytes is an allocation outside the JavaScript heap, which costs
 * more than filling it and is freed by the garbage collector one at a time. Mechanism: arrays are views of
 * a shared buffer, side by side. A view keeps its whole slab alive: for values that live and die together.
 */

const SLAB_BYTES = 32 * 1024

export class Slab {
  #buffer = new ArrayBuffer(0)
  #at = 0

  /** Zeroed. */
  allocate(length: number): Uint8Array {
    if (this.#buffer.byteLength - this.#at < length) {
      if (length > SLAB_BYTES / 4) return new Uint8Array(length)
      this.#buffer = new ArrayBuffer(SLAB_BYTES)
      this.#at = 0
    }
    const view = new Uint8Array(this.#buffer, this.#at, length)
    this.#at += length
    return view
  }

  copy(bytes: Uint8Array): Uint8Array {
    const view = this.allocate(bytes.length)
    view.set(bytes)
    return view
  }
}
