// Brings a fresh clone to a state in which every script runs: installs packages when they are missing or
// older than the lock file, and builds what is not built. Quiet when there is nothing to do.
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm'

function run(what, command, args) {
  process.stderr.write(`${what} …\n`)
  // What the tools print goes to stderr: stdout belongs to the command that was asked for.
  execFileSync(command, args, { cwd: root, stdio: ['ignore', 2, 2] })
}

const installed = join(root, 'node_modules', '.package-lock.json')
const lock = join(root, 'package-lock.json')
if (!existsSync(installed) || statSync(installed).mtimeMs < statSync(lock).mtimeMs - 1000) {
  run('installing packages', npm, [
    existsSync(lock) ? 'ci' : 'install',
    '--no-audit',
    '--no-fund',
    '--loglevel=error',
  ])
}

function newest(directory) {
  let time = 0
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name)
    if (entry.isDirectory()) time = Math.max(time, newest(path))
    else if (entry.name.endsWith('.ts') && !entry.name.endsWith('.test.ts'))
      time = Math.max(time, statSync(path).mtimeMs)
  }
  return time
}

const stale = readdirSync(join(root, 'packages')).some(name => {
  const source = join(root, 'packages', name, 'src')
  const built = join(root, 'packages', name, 'dist', '.tsbuildinfo')
  return existsSync(source) && (!existsSync(built) || statSync(built).mtimeMs < newest(source))
})
if (stale) run('building', process.execPath, [join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '-b'])
