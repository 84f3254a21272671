/** JSON shapes and exit codes of the commands that change the cluster: programs depend on both. */

import type { ClusterDocument, PlanDocument } from '@quorate/server'
import { describe, expect, it } from 'vitest'
import type { CommandContext } from '../command-context.ts'
import { Output } from '../output/output.ts'
import { makeStyle } from '../output/style.ts'
import { clear, clusterStatus, commit, giveUp, history, showPlan, stage } from './cluster.ts'

const plan: PlanDocument = {
  id: 'p-1',
  changes: ['n4 joins'],
  isEmpty: false,
  moves: 1,
  rows: 2,
  bytes: 3,
  seconds: 4,
  members: [],
  tables: [],
  nodes: [],
  problems: [],
  warnings: ['mind the gap'],
  survives: [],
  leaders: { loads: [], moves: [] },
  auto: null,
}
const cluster: ClusterDocument = {
  node: 'n1',
  cluster: 'c0ffee',
  fresh: true,
  members: [
    { id: 'n1', state: 'active', address: 'a:1', http: 'a:2', zone: 'z', weight: 1, suspected: false },
  ],
  changes: { version: 1, staged: [], task: undefined, history: [], auto: undefined },
  staged: [],
  auto: null,
  history: [
    {
      id: 'p-0',
      origin: 'operator',
      outcome: 'done',
      changes: [],
      words: ['n3 joins'],
      moves: 7,
      startedMs: 1_000,
      endedMs: 2_500,
      undo: ['quorate cluster leave n3'],
    },
  ],
}

function asked(answers: object, run: (context: CommandContext) => Promise<unknown>) {
  const out: string[] = []
  const side = { isTerminal: false, style: makeStyle(false), write: (text: string) => void out.push(text) }
  const silent = { ...side, write: () => undefined }
  const access = { admin: () => Promise.resolve(answers) }
  const output = new Output({ out: side, error: silent }, 'json')
  return run({ access, output, words: [] } as unknown as CommandContext).then(code => [code, out.join('')])
}

describe('as JSON', () => {
  it('cluster plan is the whole plan, with 11, 0 or 6', async () => {
    const shown = (more: Partial<PlanDocument>) =>
      asked({ plan: async () => ({ ...plan, ...more }) }, showPlan)
    expect(await shown({})).toEqual([
      11,
      '{"kind":"plan","items":[{"id":"p-1","changes":["n4 joins"],"isEmpty":false,"moves":1,"rows":2,"bytes":3,"seconds":4,"members":[],"tables":[],"nodes":[],"problems":[],"warnings":["mind the gap"],"survives":[],"leaders":{"loads":[],"moves":[]},"auto":null}],"warnings":["mind the gap"],"partial":false}\n',
    ])
    expect((await shown({ isEmpty: true }))[0]).toBe(0)
    expect((await shown({ problems: [{ subject: 'n4', message: 'no' }] }))[0]).toBe(6)
  })

  it('a staged change comes with the sum of the plan', async () => {
    const change = { kind: 'join', node: 'n4' } as const
    const staged = { change, words: 'n4 joins', staged: ['n4 joins'] }
    const answers = { stage: async () => staged, plan: async () => plan }
    expect(await asked(answers, context => stage(context, change))).toEqual([
      0,
      '{"kind":"staged","items":[{"change":{"kind":"join","node":"n4"},"words":"n4 joins","staged":["n4 joins"],"plan":{"id":"p-1","changes":["n4 joins"],"moves":1,"rows":2,"bytes":3,"seconds":4,"isEmpty":false,"problems":[]}}],"warnings":[],"partial":false}\n',
    ])
  })

  it('cluster status, history, clear, commit --detach and give-up', async () => {
    const answers = {
      cluster: async () => cluster,
      clear: async () => ({ cleared: ['n4 joins'] }),
      commit: async () => ({ task: { id: 'p-1' } }),
      giveUp: async () => ({ node: 'n2', members: ['n1'] }),
    }
    expect(await asked(answers, clusterStatus)).toEqual([
      0,
      '{"kind":"cluster","items":[{"id":"n1","state":"active","address":"a:1","http":"a:2","zone":"z","weight":1,"suspected":false}],"warnings":[],"partial":false}\n',
    ])
    expect(await asked(answers, history)).toEqual([
      0,
      '{"kind":"history","items":[{"id":"p-0","state":"done","changes":["n3 joins"],"moves":7,"done":7,"startedMs":1000,"endedMs":2500,"undo":["quorate cluster leave n3"],"origin":"operator"}],"warnings":[],"partial":false}\n',
    ])
    expect(await asked(answers, clear)).toEqual([
      0,
      '{"kind":"cleared","items":[{"words":"n4 joins"}],"warnings":[],"partial":false}\n',
    ])
    expect(await asked(answers, context => commit(context, 'p-1', { detach: true }))).toEqual([
      0,
      '{"kind":"tasks","items":[{"id":"p-1","state":"running"}],"warnings":[],"partial":false}\n',
    ])
    expect(await asked(answers, context => giveUp(context, 'n2', { yes: true }))).toEqual([
      0,
      '{"kind":"given-up","items":[{"node":"n2","members":["n1"]}],"warnings":[],"partial":false}\n',
    ])
  })

  it('a refused commit changes nothing and says where to look; giving up needs a name or --yes', async () => {
    const refusal = Object.assign(new Error('plan p-1 is stale'), {
      name: 'QuorateError',
      code: 'CONFLICT',
      outcome: 'not-applied',
      attempts: [],
    })
    const refusing = { commit: () => Promise.reject(refusal) }
    await expect(asked(refusing, context => commit(context, 'p-1', {}))).rejects.toMatchObject({
      done: 'Nothing was changed.',
      next: 'quorate cluster plan',
    })
    await expect(asked({}, context => giveUp(context, 'n2', {}))).rejects.toMatchObject({ exitCode: 2 })
  })
})
