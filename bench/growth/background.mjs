// Something that goes on beside a run until it is ended.

export class Background {
  #ended = false
  #running

  /** Called again and again, one call after the other. */
  async step() {}

  begin() {
    this.#running = this.#loop()
  }

  async end() {
    this.#ended = true
    await this.#running
  }

  async #loop() {
    while (!this.#ended) await this.step()
  }
}
