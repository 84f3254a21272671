/**
 * The setting `coordination`: where the cluster's registers live. `embedded` (default): on the nodes
 * themselves. `etcd://host:port[,host:port…][/name]`: in an etcd, under keys that start with
 * `quorate/<name>/`; several clusters may share an etcd under different names.
 *
 * Plain `etcd://` is HTTP. Whoever can read or write it owns the cluster, so it is taken for loopback
 * only; anything else must be `etcds://` (TLS, checked against the authorities Node trusts,
 * `NODE_EXTRA_CA_CERTS` included).
 */

export interface EtcdSetting {
  readonly kind: 'etcd'
  /** Base addresses of the JSON gateway, in the order given: `http://127.0.0.1:2379`. */
  readonly endpoints: readonly string[]
  /** Name of this cluster in that etcd. */
  readonly name: string
}

export type CoordinationSetting = { readonly kind: 'embedded' } | EtcdSetting

export type ParsedCoordination =
  | { readonly kind: 'parsed'; readonly setting: CoordinationSetting }
  | { readonly kind: 'wrong'; readonly message: string }

const NAME_DEFAULT = 'default'
const PORT_MAX = 65_535
const ENDPOINTS_MAX = 9
const SHAPE = 'must be "embedded" or etcd://host:port[,host:port…][/name] (etcds:// for TLS)'

const wrong = (message: string): ParsedCoordination => ({ kind: 'wrong', message })

export function parseCoordination(text: string): ParsedCoordination {
  if (text === 'embedded') return { kind: 'parsed', setting: { kind: 'embedded' } }
  const match = /^(etcds?):\/\/([^/]*)(?:\/(.*))?$/.exec(text)
  if (match === null) return wrong(SHAPE)
  const [, scheme, hosts, name] = match
  if (hosts === '') return wrong(`${SHAPE}: no address is given`)
  if (hosts!.includes('@'))
    return wrong('a user or password is given, but authentication to etcd is not supported')
  const endpoints: string[] = []
  for (const host of hosts!.split(',')) {
    const problem = endpointProblem(host, scheme === 'etcds')
    if (problem !== undefined) return wrong(problem)
    const endpoint = `${scheme === 'etcds' ? 'https' : 'http'}://${host}`
    if (endpoints.includes(endpoint)) return wrong(`must name each address once; "${host}" is there twice`)
    endpoints.push(endpoint)
  }
  if (endpoints.length > ENDPOINTS_MAX) return wrong(`must name at most ${ENDPOINTS_MAX} addresses`)
  if (name !== undefined && !/^[a-zA-Z0-9][a-zA-Z0-9._-]{0,63}$/.test(name))
    return wrong(
      `must end in a cluster name of letters, digits, . _ - (up to 64) after the "/"; "${name}" is none`,
    )
  return { kind: 'parsed', setting: { kind: 'etcd', endpoints, name: name ?? NAME_DEFAULT } }
}

function endpointProblem(host: string, secure: boolean): string | undefined {
  const match = /^(\[[0-9a-fA-F:]+\]|[a-zA-Z0-9._-]+):(\d{1,5})$/.exec(host)
  if (match === null) return `must give each etcd as host:port; "${host}" is none`
  const port = Number(match[2])
  if (port < 1 || port > PORT_MAX) return `must have ports from 1 to ${PORT_MAX}; "${host}" has not`
  if (!secure && !isLoopbackHost(match[1]!))
    return (
      `${host} is not a loopback address, and etcd:// is not encrypted: whoever reads or writes it on the way ` +
      'owns the cluster. Use etcds:// (TLS)'
    )
  return undefined
}

export const isLoopbackHost = (host: string): boolean =>
  /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host) || host === 'localhost' || host === '::1' || host === '[::1]'
