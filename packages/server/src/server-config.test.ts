/** What is wrong with a configuration is said all at once, each with the place where it was set. */

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isQuorateError } from '@quorate/core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { environmentSettings, resolveConfig } from './server-config.ts'
import { fileLayer, flagLayer } from './settings-layer.ts'

let scratch: string
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'quorate-config-'))
})
afterAll(() => rm(scratch, { recursive: true, force: true }))

async function fileOf(text: string) {
  const path = join(scratch, 'quorate.yaml')
  await writeFile(path, text)
  return fileLayer(path).then(layer => ({ layer, path }))
}

async function refusal(run: () => unknown): Promise<string> {
  try {
    await run()
  } catch (error) {
    if (isQuorateError(error) && error.code === 'BAD_REQUEST') return error.message
    throw error
  }
  throw new Error('was not refused')
}

describe('a configuration file', () => {
  it('every mistake is named with the file, its line and its key', async () => {
    const { layer, path } = await fileOf(
      [
        'id: n 1',
        'lissten: 127.0.0.1:7701',
        'data: /tmp/x',
        'http: 0.0.0.0:7480',
        'sweepIntervalMs: often',
        'members:',
        '  - id: n2',
        '    address: 127.0.0.1:70000',
        '  - id: n3',
        '    adress: 127.0.0.1:7703',
      ].join('\n'),
    )
    expect(await refusal(() => resolveConfig([layer]))).toBe(
      [
        '6 settings are wrong:',
        `  ${path} line 2: lissten: unknown configuration key "lissten"; did you mean "listen"?`,
        `  ${path} line 4: http: 0.0.0.0:7480 is not a loopback address. This version serves loopback only: there is no TLS and no authentication yet`,
        `  ${path} line 8: members[0].address: must have a port from 1 to 65535, not "127.0.0.1:70000"`,
        `  ${path} line 9: members[1].address: is missing`,
        `  ${path} line 10: members[1].adress: unknown configuration key "adress"; did you mean "address"?`,
        `  ${path} line 5: sweepIntervalMs: Invalid type: Expected number but received "often"`,
      ].join('\n'),
    )
  })

  it('what only shows when the shape is right is told together, too', async () => {
    const { layer, path } = await fileOf('id: n 1\ndata: /tmp/x\nweight: 100\n')
    const text = await refusal(() => resolveConfig([layer]))
    for (const place of ['line 1: id: "n 1"', 'line 3: weight: ']) expect(text).toContain(`${path} ${place}`)
  })

  it('every place at which it is not YAML is named', async () => {
    const text = await refusal(() => fileOf('id: n1\nid: n2\ndata: "open\n'))
    expect(text).toContain(`${join(scratch, 'quorate.yaml')} line 2: Map keys must be unique`)
    expect(text).toMatch(/quorate\.yaml line \d+: Missing closing "quote/)
  })

  it('a directory, and a list, are named', async () => {
    expect(await refusal(() => fileLayer(scratch))).toBe(
      `the configuration file ${scratch} cannot be read: it is a directory`,
    )
    expect(await refusal(() => fileOf('- id: n1'))).toContain('must hold settings as "key: value"')
  })
})

describe('members', () => {
  const all = [
    { id: 'n1', address: '127.0.0.1:7701', zone: 'a' },
    { id: 'n2', address: '127.0.0.1:7702', zone: 'b' },
    { id: 'n3', address: '127.0.0.1:7703' },
  ]

  it('come out the same on every node, whether or not it names itself', () => {
    const known = all.flatMap(({ id, address, zone }) => {
      const own = { id, data: '/tmp/x', listen: address, ...(zone === undefined ? {} : { zone }) }
      const others = all.filter(member => member.id !== id)
      return [resolveConfig([{ ...own, members: others }]), resolveConfig([{ ...own, members: all }])]
    })
    const seen = known.map(({ node }) =>
      node.members
        .map(({ http: _, ...member }) => JSON.stringify(member))
        .sort()
        .join(),
    )
    expect(new Set(seen).size).toBe(1)
    expect(seen[0]).toContain('"id":"n3","address":"127.0.0.1:7703","zone":"n3"')
  })
})

describe('the source of a wrong setting', () => {
  const file = 'id: n1\ndata: /tmp/x\nlisten: nonsense\n'

  it('is the strongest that sets it: the flag, else the variable, else the file', async () => {
    const { layer, path } = await fileOf(file)
    const environment = environmentSettings({ QUORATE_LISTEN: 'localhost:99999', QUORATE_WEIGHT: 'heavy' })
    expect(await refusal(() => resolveConfig([flagLayer({ listen: 'x' }), environment, layer]))).toBe(
      [
        '2 settings are wrong:',
        '  --listen: must look like host:port, not "x"',
        '  QUORATE_WEIGHT: Invalid type: Expected number but received "heavy"',
      ].join('\n'),
    )
    expect(await refusal(() => resolveConfig([environmentSettings({ QUORATE_LISTEN: '::1' }), layer]))).toBe(
      'QUORATE_LISTEN: must look like host:port, not "::1"',
    )
    expect(await refusal(() => resolveConfig([flagLayer({}), layer]))).toBe(
      `${path} line 3: listen: must look like host:port, not "nonsense"`,
    )
  })

  it('a member given as a flag is named by its id', async () => {
    const members = [{ id: 'n2', address: '127.0.0.1:0' }]
    expect(await refusal(() => resolveConfig([flagLayer({ id: 'n1', data: '/tmp/x', members })]))).toBe(
      '--member id=n2, address: must have a port from 1 to 65535, not "127.0.0.1:0"',
    )
  })

  it('what is missing says how to give it', async () => {
    expect(await refusal(() => resolveConfig([flagLayer({ id: 'n1' })]))).toBe(
      'data: is missing: --data, QUORATE_DATA or "data:" in the file',
    )
  })
})

describe('coordination', () => {
  const base = { id: 'n1', data: '/tmp/x' }
  const parsed = (coordination: string) => resolveConfig([{ ...base, coordination }]).coordination
  const wrong = (coordination: string) => refusal(() => resolveConfig([flagLayer({ ...base, coordination })]))

  it('is embedded, or an etcd with its addresses and the name of the cluster there', () => {
    expect(resolveConfig([base]).coordination).toEqual({ kind: 'embedded' })
    expect(parsed('embedded')).toEqual({ kind: 'embedded' })
    expect(parsed('etcd://127.0.0.1:2379')).toEqual({
      kind: 'etcd',
      endpoints: ['http://127.0.0.1:2379'],
      name: 'default',
    })
    expect(parsed('etcd://localhost:1,[::1]:2/east')).toEqual({
      kind: 'etcd',
      endpoints: ['http://localhost:1', 'http://[::1]:2'],
      name: 'east',
    })
    expect(parsed('etcds://e1.example:2379,e2.example:2379/c')).toEqual({
      kind: 'etcd',
      endpoints: ['https://e1.example:2379', 'https://e2.example:2379'],
      name: 'c',
    })
  })

  it('takes the strongest layer', () => {
    const environment = environmentSettings({ QUORATE_COORDINATION: 'etcd://127.0.0.1:2379/env' })
    const { coordination } = resolveConfig([flagLayer(base), environment, { coordination: 'embedded' }])
    expect(coordination).toMatchObject({ name: 'env' })
  })

  it('what is wrong is named, with the reason', async () => {
    expect(await wrong('etcd://10.0.0.1:2379')).toBe(
      '--coordination: 10.0.0.1:2379 is not a loopback address, and etcd:// is not encrypted: whoever reads or writes it on the way owns the cluster. Use etcds:// (TLS)',
    )
    expect(await wrong('zookeeper://127.0.0.1:1')).toContain(
      '--coordination: must be "embedded" or etcd://host:port[,host:port…][/name] (etcds:// for TLS), not "zoo',
    )
    expect(await wrong('etcd://')).toContain('no address is given')
    expect(await wrong('etcd:///east')).toContain('no address is given')
    expect(await wrong('etcd://127.0.0.1')).toContain('"127.0.0.1" is none')
    expect(await wrong('etcd://127.0.0.1:0')).toContain('ports from 1 to 65535')
    expect(await wrong('etcd://127.0.0.1:1,127.0.0.1:1')).toContain('each address once')
    expect(await wrong('etcd://127.0.0.1:1,')).toContain('"" is none')
    expect(await wrong('etcd://root:secret@127.0.0.1:1')).toContain('authentication to etcd is not supported')
    expect(await wrong('etcd://127.0.0.1:1/a/b')).toContain('"a/b" is none')
    expect(await wrong('etcd://127.0.0.1:1/')).toContain('"" is none')
    const environment = environmentSettings({ QUORATE_COORDINATION: 'etcd' })
    expect(await refusal(() => resolveConfig([flagLayer(base), environment]))).toContain(
      'QUORATE_COORDINATION: must be "embedded"',
    )
  })
})
