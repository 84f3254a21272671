/**
 * Merge functions that operators bring, by name, and what keeps a wrong one from doing harm.
 *
 * Contract: a function of the siblings alone, whatever their order. It is called where a reader would else see siblings;
 * what is stored stays siblings, so a wrong function loses nothing. Each time it is called twice, the second time with the
 * siblings the other way round; who gives two answers, or does not come to an end (which the platform's part notices), is
 * not asked again while the process lives, and readers see siblings. Who throws is asked again for other rows.
 */

import { bytesEqual } from '../base/bytes.ts'
import { describeError, QuorateError } from '../base/errors.ts'
import type { ConflictRule } from './conflict-rule.ts'
import { canonicalDocument, type Document, decodeDocument, encodeDocument } from './document.ts'
import { isMergeName, type MergeFunction, mergeFunctions, mergeRule } from './merge-functions.ts'

/** Code of the error with which a function that does not come to an end is stopped. */
export const MERGE_STOPPED = 'DEADLINE'

const PREFIX = 'merge:'

export class MergeModules {
  readonly #rules = new Map<string, ConflictRule>()
  readonly #onWrong: (message: string) => void
  readonly #told = new Set<string>()

  /** `given`: by name. Throws BAD_REQUEST for a name that is taken, or none. */
  constructor(given: ReadonlyMap<string, MergeFunction>, onWrong: (message: string) => void) {
    this.#onWrong = onWrong
    for (const [name, merge] of given) {
      if (!isMergeName(name))
        throw new QuorateError(
          'BAD_REQUEST',
          `"${name}" is no name of a merge function: letters, digits and -`,
        )
      if (Object.hasOwn(mergeFunctions, name))
        throw new QuorateError('BAD_REQUEST', `the merge function "${name}" is built in: choose another name`)
      this.#rules.set(PREFIX + name, mergeRule(name, this.#guarded(name, merge)))
    }
  }

  get names(): readonly string[] {
    return [...this.#rules.keys()]
  }

  /** Undefined: this process does not have it. */
  rule(kind: string): ConflictRule | undefined {
    return this.#rules.get(kind)
  }

  #guarded(name: string, merge: MergeFunction): MergeFunction {
    let refusal: string | undefined
    return siblings => {
      if (refusal !== undefined) throw new QuorateError('INTERNAL', refusal)
      // Each time of its own: a function may change what it is given.
      const backwards = siblings.map(copyOf).reverse()
      try {
        const merged = copyOf(merge(siblings.map(copyOf)))
        if (bytesEqual(bytesOf(merged), bytesOf(merge(backwards)))) return merged
        refusal = `the merge function "${name}" gave two answers for the same siblings: it must depend on nothing else, and not on their order`
      } catch (error) {
        if (error instanceof QuorateError && error.code === MERGE_STOPPED)
          refusal = `the merge function "${name}" ${error.message}`
        else this.#tell(`the merge function "${name}" failed: ${describeError(error)}`)
      }
      if (refusal !== undefined)
        this.#tell(`${refusal}; it is not called again before this node is started anew`)
      throw new QuorateError('INTERNAL', refusal ?? `the merge function "${name}" failed`)
    }
  }

  /** Once for each thing that is wrong. */
  #tell(message: string): void {
    if (this.#told.has(message) || this.#told.size >= TOLD_MAX) return
    this.#told.add(message)
    this.#onWrong(`${message}; readers see siblings`)
  }
}

const TOLD_MAX = 100

const copyOf = (document: Document): Document => decodeDocument(encodeDocument(document))

const bytesOf = (document: Document): Uint8Array => encodeDocument(canonicalDocument(document))

/** Is this the name of a rule that some process may have? */
export const isMergeRule = (kind: string): boolean =>
  kind.startsWith(PREFIX) && isMergeName(kind.slice(PREFIX.length))
