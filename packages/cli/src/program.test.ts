import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { buildProgram } from './program.ts'

const help = (command: string): string => {
  const found = buildProgram({ exitCode: 0 }).commands.find(each => each.name() === command)
  return found?.helpInformation().replaceAll(/\s+/g, ' ') ?? ''
}

it('help and README agree on --member: one for each other node, which may leave itself out', () => {
  expect(help('start')).toContain('once for each of the others (this node may be left out)')
  const readme = readFileSync(new URL('../../../README.md', import.meta.url), 'utf8')
  expect(readme).toContain('Each `--member` names one other node; the node itself may be left out.')
  const starts = readme.split('\n').filter(line => line.includes('--member id=') && line.startsWith('npx'))
  expect(starts).toHaveLength(3)
  for (const line of starts) {
    const own = /--id (\w+)/.exec(line)![1]!
    const named = [...line.matchAll(/--member id=(\w+)/g)].map(match => match[1])
    expect([...named, own].sort()).toEqual(['n1', 'n2', 'n3'])
  }
})
