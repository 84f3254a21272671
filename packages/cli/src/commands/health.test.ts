import { describe, expect, it } from 'vitest'
import { AdminClient, type StatusDocument } from '../admin-client.ts'
import { exitCodes } from '../exit-codes.ts'
import { gatherStatus } from '../output/status-text.ts'
import { type HealthCheck, healthChecks, healthExit, statusExit } from './health.ts'

const NOW_MS = 1_800_000_000_000
const MEMBERS = ['n1', 'n2', 'n3']

interface Told {
  readonly proven?: number
  readonly overdue?: number
  readonly oldestMs?: number
  /** Names whose admin address nobody knows. */
  readonly without?: readonly string[]
}

function document(node: string, told: Told): StatusDocument {
  const { proven = 8, overdue = 0, oldestMs = NOW_MS - 20_000, without = [] } = told
  return {
    node,
    state: 'ready',
    uptimeMs: 60_000,
    proofAgeMaxMs: 300_000,
    members: MEMBERS.map(id => ({
      id,
      address: `${id}:1`,
      http: without.includes(id) ? '' : `${id}:2`,
      zone: id,
      region: 'local',
      suspected: false,
    })),
    registers: { epoch: 1, acceptors: MEMBERS, changing: false },
    tables: [
      {
        name: 'carts',
        rows: 1,
        sweep: {
          pairs: 8,
          proven,
          oldestMs,
          overdue,
          overdueExamples: [
            { partition: 3, peer: 'n2', provenMs: undefined },
            { partition: 4, peer: 'n3', provenMs: oldestMs },
          ].slice(0, overdue),
        },
      },
    ],
    hints: [],
    clock: { ownOffsetMs: 0 },
    damagedRows: 0,
    ledgerEntries: 0,
    memory: { rss: 1, heapUsed: 1 },
    store: { logBytes: 1 },
    process: 1,
  } as unknown as StatusDocument
}

async function cluster(answers: Readonly<Record<string, Told | 'silent'>>) {
  const nodes = Object.entries(answers).map(([id, told]) => ({
    id,
    admin: {
      address: told === 'silent' ? `${id}:2` : '',
      status: () =>
        told === 'silent'
          ? Promise.reject(new Error(`no node answers at http://${id}:2`))
          : Promise.resolve(document(id, told)),
    } as unknown as AdminClient,
  }))
  const found = await gatherStatus(nodes)
  return { found, checks: healthChecks(found, NOW_MS) }
}

const named = (checks: readonly HealthCheck[], name: string): HealthCheck =>
  checks.find(({ check }) => check === name)!

describe('health', () => {
  it('is ok when every node answers and every proof is young, and says how old the oldest is', async () => {
    const { found, checks } = await cluster({ n1: {}, n2: {}, n3: {} })
    expect(checks.map(({ result }) => result)).toEqual(checks.map(() => 'ok'))
    expect(named(checks, 'proofs').detail).toBe(
      'every shared range was proven equal in the last 5 min 0 s; the oldest proof is 20.0 s old',
    )
    expect([healthExit(checks), statusExit(found)]).toEqual([exitCodes.ok, exitCodes.ok])
  })

  it('an old proof is unhealthy, although the range was proven once; node, table and range are named', async () => {
    const { found, checks } = await cluster({
      n1: { overdue: 2, oldestMs: NOW_MS - 720_000 },
      n2: {},
      n3: {},
    })
    expect(named(checks, 'proofs')).toEqual({
      check: 'proofs',
      result: 'bad',
      detail:
        'n1, table "carts": 2 of 8 ranges not proven equal in the last 5 min 0 s (partition 3 with n2 never, partition 4 with n3 12 min 0 s ago)',
    })
    expect([healthExit(checks), statusExit(found)]).toEqual([exitCodes.unhealthy, exitCodes.unhealthy])
  })

  it('where there are more than a few, the command that lists them all is named', async () => {
    const { checks } = await cluster({ n1: { overdue: 5, oldestMs: NOW_MS - 720_000 }, n2: {}, n3: {} })
    expect(named(checks, 'proofs').detail).toContain(', …; all: quorate ring carts --http n1:2)')
  })

  it('a range that only awaits its first proof is a note', async () => {
    const { checks } = await cluster({ n1: { proven: 5 }, n2: {}, n3: {} })
    expect(named(checks, 'proofs')).toEqual({
      check: 'proofs',
      result: 'note',
      detail: 'n1, table "carts": 3 of 8 ranges not proven yet',
    })
    expect(healthExit(checks)).toBe(exitCodes.ok)
  })

  it('a silent node is unhealthy, and no other check calls it ok', async () => {
    const { found, checks } = await cluster({ n1: {}, n2: {}, n3: 'silent' })
    expect(named(checks, 'nodes')).toMatchObject({
      result: 'bad',
      detail: 'n3: no node answers at http://n3:2',
    })
    for (const name of ['damage', 'clocks', 'hints', 'proofs'])
      expect(named(checks, name)).toMatchObject({
        result: 'unknown',
        detail: expect.stringMatching(/; n3 could not be asked$/),
      })
    expect([healthExit(checks), statusExit(found)]).toEqual([exitCodes.unhealthy, exitCodes.partial])
  })

  it('a node whose admin address nobody knows leaves a partial answer', async () => {
    const told = (id: string) => ({
      id,
      admin: {
        address: `${id}:2`,
        status: () => Promise.resolve(document(id, { without: ['n3'] })),
      } as unknown as AdminClient,
    })
    const found = await gatherStatus([told('n1'), told('n2'), { id: 'n3', admin: new AdminClient('') }])
    const checks = healthChecks(found, NOW_MS)
    expect(named(checks, 'nodes')).toEqual({
      check: 'nodes',
      result: 'unknown',
      detail: 'n3: the cluster does not know its admin address yet',
    })
    expect([healthExit(checks), statusExit(found)]).toEqual([exitCodes.partial, exitCodes.partial])
  })
})
