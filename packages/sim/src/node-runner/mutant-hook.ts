/** Module hook: patches compiled sources on their way in. Runs in the loader's own thread. */

import type { Patch } from '../mutants/mutants.ts'

let patches: readonly Patch[] = []

export function initialize(data: { readonly patches: readonly Patch[] }): void {
  patches = data.patches
}

interface Loaded {
  readonly format: string
  readonly source?: string | ArrayBuffer | Uint8Array
}

export async function load(
  url: string,
  context: unknown,
  nextLoad: (url: string, context: unknown) => Promise<Loaded>,
): Promise<Loaded> {
  const loaded = await nextLoad(url, context)
  let source: string | undefined
  for (const patch of patches) {
    if (!url.endsWith(`/core/dist/${patch.file}`)) continue
    source = applyPatch(source ?? textOf(loaded.source), patch)
  }
  return source === undefined ? loaded : { ...loaded, source }
}

export function applyPatch(source: string, patch: Patch): string {
  const count = source.split(patch.find).length - 1
  if (count !== 1)
    throw new Error(`${patch.file}: the patch must match once and matches ${count} times: ${patch.find}`)
  return source.replace(patch.find, () => patch.replace)
}

function textOf(source: Loaded['source']): string {
  return typeof source === 'string' ? source : new TextDecoder().decode(source)
}
