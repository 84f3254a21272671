/**
 * Every code block of the README runs: the `ts` block and the `sh` blocks against a cluster that the
 * README's own `quorate start` lines make (on free ports). The two long commands, `npm start` and `npm
 * test`, are run by .ci/run, which is checked to do so.
 */

import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const readme = readFileSync(join(root, 'README.md'), 'utf8')
const blocks = [...readme.matchAll(/```(\w+)\n([\s\S]*?)```/g)].map(match => ({
  language: match[1]!,
  text: match[2]!.trim(),
}))
const run = promisify(execFile)

const scratch = mkdtempSync(join(tmpdir(), 'quorate-readme-'))
const children: ChildProcess[] = []
let ports: Map<string, string>

async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from(
      { length: count },
      () =>
        new Promise<ReturnType<typeof createServer>>(resolve => {
          const server = createServer()
          server.listen(0, '127.0.0.1', () => resolve(server))
        }),
    ),
  )
  const found = servers.map(server => (server.address() as { port: number }).port)
  await Promise.all(servers.map(server => new Promise(resolve => server.close(resolve))))
  return found
}

/** The README's fixed ports become free ones; its `./data` a scratch folder. */
const adapted = (text: string): string => {
  let out = text
  for (const [from, to] of ports) out = out.replaceAll(from, to)
  return out.replaceAll('./data/', `${scratch}/`)
}

const environment = (): NodeJS.ProcessEnv => ({
  ...process.env,
  QUORATE_HTTP: adapted('127.0.0.1:7480'),
  QUORATE_CONNECT: adapted('quorate://127.0.0.1:7701'),
  NO_COLOR: '1',
})

/** The same words without the package runner: `npx quorate` in a checkout is this file. */
const command = (line: string): string =>
  adapted(line).replace('npx quorate', `${process.execPath} ${join(root, 'packages/cli/dist/bin.js')}`)

beforeAll(async () => {
  const wanted = ['7701', '7702', '7703', '7480', '7481', '7482']
  const free = await freePorts(wanted.length)
  ports = new Map(wanted.map((port, i) => [`127.0.0.1:${port}`, `127.0.0.1:${free[i]}`]))
})

afterAll(async () => {
  await Promise.all(
    children.map(
      child =>
        new Promise(resolve => {
          if (child.exitCode !== null) return resolve(undefined)
          child.once('exit', resolve)
          child.kill('SIGKILL')
        }),
    ),
  )
  rmSync(scratch, { recursive: true, force: true })
})

describe('README', () => {
  it('has only blocks that this test knows how to run', () => {
    expect(new Set(blocks.map(block => block.language))).toEqual(new Set(['sh', 'text', 'ts']))
    expect(blocks.length).toBeGreaterThanOrEqual(6)
  })

  it('names only commands that exist where it shows what e2e/growth.test.ts runs', async () => {
    const lines = blocks.filter(block => block.language === 'text').flatMap(block => block.text.split('\n'))
    const verbs = lines.map(line => /^npx quorate (start|\w+ \w+)/.exec(line)?.[1])
    expect(verbs).not.toContain(undefined)
    expect(verbs).toContain('cluster plan')
    for (const verb of new Set(verbs)) {
      const { stdout } = await run('bash', ['-c', `${command('npx quorate')} ${verb} --help`])
      expect(stdout).toContain('Usage: quorate')
    }
  })

  it('npm start and npm test are run by .ci/run', () => {
    const ci = readFileSync(join(root, '.ci/run'), 'utf8')
    for (const line of ['npm start', 'npm test']) {
      expect(blocks.some(block => block.text === line)).toBe(true)
      expect(ci).toContain(line)
    }
  })

  it('the cluster starts, and every command works against it', async () => {
    const lines = blocks.filter(block => block.language === 'sh').flatMap(block => block.text.split('\n'))
    for (const line of lines.filter(text => text.includes('quorate start'))) {
      const [file, ...args] = command(line).split(' ')
      children.push(spawn(file!, args, { stdio: 'ignore', env: environment() }))
    }
    expect(children).toHaveLength(3)
    await waitReady(adapted('http://127.0.0.1:7480/readyz'))
    for (const line of lines.filter(
      text => text.startsWith('npx quorate') && !text.includes('quorate start'),
    )) {
      // Bounded, so that a line that never ends is named rather than waited for.
      const { stdout } = await run('bash', ['-c', `exec timeout 60 ${command(line)}`], {
        cwd: root,
        env: environment(),
      }).catch(error => {
        throw new Error(`${line}: exit ${error.code}\n${error.stdout}${error.stderr}`)
      })
      expect(stdout.length, line).toBeGreaterThan(0)
    }
  })

  it('the program does what its comments say', async () => {
    const [program] = blocks.filter(block => block.language === 'ts')
    symlinkSync(join(root, 'node_modules'), join(scratch, 'node_modules'))
    writeFileSync(join(scratch, 'package.json'), '{"type":"module"}')
    // Types are stripped by the compiler the repository builds with.
    const { default: ts } = await import('typescript')
    const { outputText } = ts.transpileModule(adapted(program!.text), {
      compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 },
    })
    writeFileSync(join(scratch, 'program.mjs'), outputText)
    const { stdout } = await run(process.execPath, ['program.mjs'], { cwd: scratch })
    const printed = stdout.split('\n')
    expect(printed[0]).toBe('2')
    expect(printed[1]).toContain('homes answered')
    expect(stdout).toMatch(/items: \[ '(milk', 'eggs|eggs', 'milk)' \]/)
  })

  it.each(
    blocks.flatMap(block => block.text.split('\n')).filter(line => line.startsWith('npm run sim')),
  )('%s', async line => {
    const { stdout } = await run('bash', ['-c', line], { cwd: root, maxBuffer: 1 << 26 })
    expect(stdout.length).toBeGreaterThan(0)
  })
})

async function waitReady(url: string): Promise<void> {
  for (let i = 0; i < 200; i++) {
    const ready = await fetch(url).then(
      response => response.ok,
      () => false,
    )
    if (ready) return
    await new Promise(resolve => setTimeout(resolve, 100))
  }
  throw new Error(`${url} was never ready`)
}
