/**
 * Questions and answers in different partitions: whoever sees an answer sees its question (consistent prefix).
 *
 * A writer appends a question to one row, and when that is acknowledged the answer to another, in one session. A reader who
 * has seen neither reads both rows together, in either order, at whatever replicas. An answer without its question is a
 * violation, whatever faults there were; unless an election gave acknowledged writes up.
 */

import { append, Session } from '@quorate/client/pure'
import { isQuorateError, randomBelow, randomChance, type SeededRandom } from '@quorate/core'

interface Lists {
  readonly l: readonly string[]
}

/** Of a table client: as far as it is needed here. */
export interface PairsTable {
  update(key: string, steps: readonly ReturnType<typeof append>[], options: object): Promise<unknown>
  getMany(keys: readonly string[], options: object): Promise<readonly { readonly value: Lists | undefined }[]>
}

const PAIRS = 3
const TIMEOUT_MS = 4_000

export class CausalPairs {
  readonly #random: SeededRandom
  readonly #violate: (message: string) => void
  #asked = 0
  /** Answers that were read. */
  seen = 0

  constructor(random: SeededRandom, violate: (message: string) => void) {
    this.#random = random
    this.#violate = violate
  }

  async step(db: PairsTable): Promise<void> {
    const pair = randomBelow(this.#random, PAIRS)
    try {
      if (randomChance(this.#random, 0.5)) await this.#write(db, pair)
      else await this.#read(db, pair)
    } catch (error) {
      // Neither is promised then: nothing is claimed of it.
      if (!isQuorateError(error)) throw error
    }
  }

  async #write(db: PairsTable, pair: number): Promise<void> {
    const session = new Session()
    const name = `q${++this.#asked}`
    const options = { session, timeoutMs: TIMEOUT_MS }
    await db.update(`question${pair}`, [append('l', name)], options)
    await db.update(`answer${pair}`, [append('l', name)], options)
  }

  async #read(db: PairsTable, pair: number): Promise<void> {
    const isAnswerFirst = randomChance(this.#random, 0.5)
    const keys = [`question${pair}`, `answer${pair}`]
    const read = randomChance(this.#random, 0.5) ? { read: 'session' } : {}
    const rows = await db.getMany(isAnswerFirst ? keys.reverse() : keys, {
      timeoutMs: TIMEOUT_MS,
      ...read,
      session: new Session(),
    })
    const [first, second] = rows.map(({ value }) => value?.l ?? []) as [readonly string[], readonly string[]]
    const [questions, answers] = isAnswerFirst ? [second, first] : [first, second]
    this.seen += answers.length
    const without = answers.find(name => !questions.includes(name))
    if (without !== undefined)
      this.#violate(
        `pair ${pair}: the answer to ${without} was shown without it (${questions.length} questions, ${answers.length} answers)`,
      )
  }
}
