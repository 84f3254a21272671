import { QuorateError } from '@quorate/core'
import { describe, expect, it } from 'vitest'
import { FLAP_MS, REMIND_MS, TroubleLog } from './trouble-log.ts'

const refused = new QuorateError('UNREACHABLE', 'connect ECONNREFUSED 127.0.0.1:7702')
const wrong = new QuorateError('WRONG_CLUSTER', 'the node at this address is "n3", not "n2"')

function stand() {
  const lines: string[] = []
  let nowMs = 0
  const log = new TroubleLog(
    {
      warn: (_, message) => lines.push(message),
      error: (_, message) => lines.push(`error: ${message}`),
      info: (_, message) => lines.push(message),
    },
    () => nowMs,
  )
  const meet = (error: QuorateError, times: number, everyMs: number): void => {
    for (let i = 0; i < times; i++) {
      log.met('n2', error)
      nowMs += everyMs
    }
  }
  const pass = (ms: number): void => {
    nowMs += ms
  }
  return { log, lines, meet, pass }
}

describe('trouble with a peer', () => {
  it('is logged when it begins, then once a minute with a count', () => {
    const { lines, meet } = stand()
    meet(refused, 601, 200)
    expect(lines).toEqual([
      'n2: connect ECONNREFUSED 127.0.0.1:7702',
      'n2: connect ECONNREFUSED 127.0.0.1:7702 (300 times in the last 60 s)',
      'n2: connect ECONNREFUSED 127.0.0.1:7702 (300 times in the last 60 s)',
    ])
  })

  it('of another kind is news, and each kind keeps to its own minute', () => {
    const { lines, meet } = stand()
    for (let i = 0; i < 20; i++) {
      meet(refused, 1, 100)
      meet(wrong, 1, 100)
    }
    expect(lines).toEqual([`n2: ${refused.message}`, `n2: ${wrong.message}`])
  })

  it('its end is logged once, and its return at once', () => {
    const { log, lines, meet, pass } = stand()
    meet(refused, 30, 200)
    log.over('n2')
    log.over('n2')
    log.over('n3')
    pass(FLAP_MS)
    meet(refused, 30, 200)
    expect(lines).toEqual([`n2: ${refused.message}`, 'n2: reached', `n2: ${refused.message}`])
  })

  it('a peer that comes and goes within a second does not fill the log', () => {
    const { log, lines, pass } = stand()
    for (let turn = 0; turn < REMIND_MS / 500; turn++) {
      log.met('n2', refused)
      pass(250)
      log.over('n2')
      pass(250)
    }
    expect(lines.length).toBeLessThanOrEqual(2 * (REMIND_MS / FLAP_MS))
  })

  it('that only an operator can settle is an error, each message once', () => {
    const { log, lines } = stand()
    for (const other of ['n2', 'n3', 'n2', 'n3']) log.needsOperator('n1', `${other} is of another cluster`)
    expect(lines).toEqual(['error: n2 is of another cluster', 'error: n3 is of another cluster'])
  })

  it('is forgotten in the end when it comes from ever new addresses', () => {
    const { log, lines } = stand()
    for (let i = 0; i < 2_000; i++) log.met(`stranger ${i}`, refused)
    log.met('stranger 1999', refused)
    expect(lines).toHaveLength(2_000)
    log.met('stranger 0', refused)
    expect(lines).toHaveLength(2_001)
  })
})
