// The one command before every commit: format and lint, types, tidy, unit tests (the wire hash is one of
// them), a short simulation. Stops at the first that fails, and says which.
import { spawnSync } from 'node:child_process'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const bin = name => join(root, 'node_modules', '.bin', name)

const steps = [
  ['format and lint', bin('biome'), ['check', '--error-on-warnings', '.']],
  ['types', bin('tsc'), ['-b']],
  ['types of tests', bin('tsc'), ['-p', 'tsconfig.tests.json']],
  ['tidy', process.execPath, ['tools/tidy/tidy.mjs']],
  ['unit tests', bin('vitest'), ['run', '--project', 'unit']],
  [
    'short simulation',
    process.execPath,
    ['packages/sim/dist/bin.js', '--seeds', '20', '--from', '1', '--json'],
  ],
]

for (const [name, command, args] of steps) {
  const began = Date.now()
  process.stdout.write(`── ${name}\n`)
  const { status } = spawnSync(command, args, { cwd: root, stdio: 'inherit' })
  if (status !== 0) {
    process.stdout.write(`check failed at: ${name}\n`)
    process.exit(1)
  }
  process.stdout.write(`── ${name}: ok, ${((Date.now() - began) / 1000).toFixed(1)} s\n`)
}
