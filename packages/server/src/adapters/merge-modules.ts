/**
 * Merge functions of operators: modules named in the configuration, loaded once, at the start.
 *
 * Problem: a function that does not come to an end would hold up the whole node. Mechanism: each call runs under the
 * watchdog that `node:vm` has for scripts, which ends whatever runs below one; the function then counts as broken
 * (core/cells/merge-modules.ts). That is no sandbox: a module may do what the server may.
 */

import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { createContext, Script } from 'node:vm'
import { type Document, describeError, MERGE_STOPPED, type MergeFunction, QuorateError } from '@quorate/core'

/** Far more than merging a few siblings takes; all readers of a row wait for it. */
const MERGE_MS = 100

/** By the names that the modules give. Throws BAD_REQUEST, naming the file. */
export async function loadMergeModules(
  paths: readonly string[],
): Promise<ReadonlyMap<string, MergeFunction>> {
  const functions = new Map<string, MergeFunction>()
  for (const path of paths) {
    const { name, merge } = await load(path)
    if (functions.has(name)) throw wrong(path, `the name "${name}" is that of another module, too`)
    functions.set(name, timed(merge))
  }
  return functions
}

async function load(path: string): Promise<{ name: string; merge: MergeFunction }> {
  let module: Record<string, unknown>
  try {
    module = (await import(pathToFileURL(resolve(path)).href)) as Record<string, unknown>
  } catch (cause) {
    throw wrong(path, `cannot be loaded: ${describeError(cause)}`)
  }
  const { name, merge } = module
  if (typeof name !== 'string') throw wrong(path, 'exports no "name": export const name = "cart"')
  if (typeof merge !== 'function')
    throw wrong(path, 'exports no function "merge": export function merge(siblings) { … }')
  return { name, merge: merge as MergeFunction }
}

const wrong = (path: string, what: string): QuorateError =>
  new QuorateError('BAD_REQUEST', `mergeModules: ${path} ${what}`, { data: { field: 'mergeModules', path } })

function timed(merge: MergeFunction): MergeFunction {
  const scope: { call: () => void } = { call: () => {} }
  const script = new Script('call()')
  const context = createContext(scope)
  return siblings => {
    let merged: Document | undefined
    scope.call = () => {
      merged = merge(siblings)
    }
    try {
      script.runInContext(context, { timeout: MERGE_MS })
    } catch (cause) {
      if ((cause as { code?: unknown }).code !== 'ERR_SCRIPT_EXECUTION_TIMEOUT') throw cause
      throw new QuorateError(MERGE_STOPPED, `did not come to an end within ${MERGE_MS} ms`, { cause })
    }
    if (merged === undefined) throw new QuorateError('BAD_REQUEST', 'it gave nothing back')
    return merged
  }
}
