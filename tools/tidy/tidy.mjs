// Tidy: lint as a test of the house. Direction of layers and rooms, purity, import cycles, length ratchets.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import * as rules from './rules.mjs'

const root =
  process.argv[2] && !process.argv[2].startsWith('--')
    ? resolve(process.argv[2])
    : dirname(dirname(dirname(fileURLToPath(import.meta.url))))
const ratchetFile = join(root, 'tools/tidy/ratchet.json')
const ratchet = existsSync(ratchetFile) ? JSON.parse(readFileSync(ratchetFile, 'utf8')) : {}
const findings = []
const find = (file, line, message) => findings.push(`${file}:${line}  ${message}`)

function* sources(directory) {
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name)
    if (entry.name === 'node_modules' || entry.name === 'dist') continue
    if (entry.isDirectory()) yield* sources(path)
    else if (entry.name.endsWith('.ts')) yield path
  }
}

const packageOf = file => /^packages\/([^/]+)\//.exec(file)?.[1]
const packageNamed = name => (name === 'quorate' ? 'cli' : /^@quorate\/([^/]+)/.exec(name)?.[1])

const imports = new Map()
const packagesRoot = join(root, 'packages')
for (const path of sources(packagesRoot)) check(path)
checkCycles()

function check(path) {
  const file = relative(root, path).replaceAll('\\', '/')
  const text = readFileSync(path, 'utf8')
  const isTest = /\.test\.ts$|\/testing\/|\/testdata\//.test(file)
  const parsed = ts.createSourceFile(path, text, ts.ScriptTarget.ES2023, true)
  const targets = importsOf(parsed)
  if (!isTest) {
    imports.set(
      path,
      targets.filter(t => t.name.startsWith('.') && !t.typeOnly).map(t => resolve(dirname(path), t.name)),
    )
    checkDirection(file, targets)
    checkBans(file, text)
    checkLengths(file, parsed)
  } else checkPackages(file, targets)
}

function importsOf(parsed) {
  const out = []
  for (const node of parsed.statements) {
    if ((ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) && node.moduleSpecifier) {
      const typeOnly = ts.isImportDeclaration(node)
        ? (node.importClause?.isTypeOnly ?? false)
        : node.isTypeOnly
      out.push({
        name: node.moduleSpecifier.text,
        typeOnly,
        line: parsed.getLineAndCharacterOfPosition(node.pos).line + 1,
      })
    }
  }
  return out
}

function checkPackages(file, targets) {
  const own = packageOf(file)
  for (const { name, line } of targets) {
    const other = packageNamed(name)
    if (other === undefined || other === own) continue
    // Tests of a lower package may use the simulator's world; nothing else looks up.
    if (rules.packageOrder.indexOf(other) > rules.packageOrder.indexOf(own))
      find(file, line, `${own} must not import ${other}: it stands above`)
  }
}

function checkDirection(file, targets) {
  checkPackages(file, targets)
  const own = packageOf(file)
  for (const { name, line } of targets) {
    if (packageNamed(name) === 'sim' && own !== 'sim' && own !== 'console' && own !== 'cli')
      find(file, line, `${own} must not import sim`)
    if (own === 'cli' && packageNamed(name) === 'core')
      find(file, line, 'cli talks to the admin interface and the client, not to core')
    if (
      name.startsWith('.') &&
      name.endsWith('/index.ts') &&
      !file.endsWith('connect.ts') &&
      !file.endsWith('/index.ts')
    )
      find(file, line, 'no barrels inside a package: import the file')
  }
  if (own !== 'core') return
  const room = /^packages\/core\/src\/([^/]+)\//.exec(file)?.[1]
  if (room === undefined || room === 'testing') return
  for (const { name, line } of targets) {
    const target = /^\.\.\/([^/]+)\//.exec(name)?.[1]
    if (target === undefined) continue
    if (!rules.roomOrder.includes(target))
      find(file, line, `unknown room "${target}": add it to tools/tidy/rules.mjs`)
    else if (
      rules.roomOrder.indexOf(target) > rules.roomOrder.indexOf(room) &&
      rules.roomExceptions[`${room} → ${target}`] === undefined
    ) {
      find(file, line, `room "${room}" must not import room "${target}", which stands above it`)
    }
  }
}

function checkBans(file, text) {
  const source = rules.pureSources.find(pure => file.startsWith(pure.root))
  const pure = source !== undefined && !source.doors.some(door => file.startsWith(door))
  const lines = text.split('\n')
  lines.forEach((line, i) => {
    if (/^\s*(\*|\/\/|\/\*)/.test(line)) return
    for (const ban of [...(pure ? rules.bans : []), ...rules.everywhere]) {
      if (ban.pattern.test(line) && !(ban.except?.test(line) ?? false))
        find(file, i + 1, `${line.trim().slice(0, 60)} — use ${ban.instead}`)
    }
  })
}

function checkLengths(file, parsed) {
  const lineOf = position => parsed.getLineAndCharacterOfPosition(position).line
  const length = lineOf(parsed.end) + 1
  const allowed = ratchet[file]?.lines ?? rules.fileLinesMax
  if (length > allowed)
    find(file, 1, `${length} lines, at most ${allowed}: split along a seam that a reader would name`)
  const visit = node => {
    if (ts.isFunctionLike(node) && node.body) {
      const lines = lineOf(node.end) - lineOf(node.getStart()) + 1
      const name = node.name?.getText() ?? '(anonymous)'
      const allowedLines = ratchet[file]?.functions?.[name] ?? rules.functionLinesMax
      if (lines > allowedLines)
        find(
          file,
          lineOf(node.getStart()) + 1,
          `function ${name} has ${lines} lines, at most ${allowedLines}`,
        )
    }
    ts.forEachChild(node, visit)
  }
  visit(parsed)
}

function checkCycles() {
  const state = new Map()
  const stack = []
  const visit = path => {
    if (state.get(path) === 'done') return
    if (state.get(path) === 'open') {
      const cycle = [...stack.slice(stack.indexOf(path)), path].map(p => relative(root, p))
      find(cycle[0], 1, `import cycle: ${cycle.join(' → ')}`)
      return
    }
    state.set(path, 'open')
    stack.push(path)
    for (const target of imports.get(path) ?? []) visit(target)
    stack.pop()
    state.set(path, 'done')
  }
  for (const path of imports.keys()) visit(path)
}

for (const finding of findings) console.log(finding)
console.log(findings.length === 0 ? 'tidy: nothing to say' : `tidy: ${findings.length} findings`)
process.exit(findings.length === 0 ? 0 : 1)
