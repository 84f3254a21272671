/** OpenAPI description of the admin interface; a test holds it against the routes. */

const ok = (description: string) => ({ responses: { '200': { description } } })
const parameter = (name: string, where: 'path' | 'query', description: string) => ({
  name,
  in: where,
  required: where === 'path',
  description,
  schema: { type: 'string' },
})
const table = parameter('table', 'path', 'Name of a table')
const body = (description: string) => ({
  requestBody: { description, content: { 'application/json': { schema: { type: 'object' } } } },
})
const ledgerFilters = [
  parameter('table', 'query', 'Only this table'),
  parameter('since', 'query', 'Milliseconds since 1970'),
  parameter(
    'reason',
    'query',
    'Only these: concurrent-loser, expired-hint, cut-unacknowledged, cut-possibly-acknowledged',
  ),
  parameter('key', 'query', 'Partition key as JSON'),
]
const task = body('{task?}: its id; without one, whichever runs')
const changes = { security: [{ token: [] }] }

export const openApi = {
  openapi: '3.1.0',
  info: {
    title: 'Quorate admin interface',
    version: '1',
    description: 'One node. JSON; errors are {error: {code, message, outcome, data, attempts}}.',
  },
  components: { securitySchemes: { token: { type: 'http', scheme: 'bearer' } } },
  paths: {
    '/healthz': { get: ok('The process lives and its store has not failed') },
    '/readyz': { get: ok('The node serves requests; 503 otherwise') },
    '/metrics': { get: ok('Prometheus text') },
    '/api/v1/openapi.json': { get: ok('This description') },
    '/api/v1/status': { get: ok('What the node says of itself') },
    '/api/v1/tables': { get: ok('Tables and their settings') },
    '/api/v1/shadow/{table}': {
      get: {
        ...ok('What this node has coordinated of a measured table, by the hour'),
        parameters: [table],
      },
    },
    '/api/v1/ring/{table}': { get: { ...ok('Partitions and replicas'), parameters: [table] } },
    '/api/v1/explain/{table}': {
      get: {
        ...ok('Why a read of this key answers what it answers'),
        parameters: [
          table,
          parameter('key', 'query', 'Partition key as JSON'),
          parameter('sort', 'query', 'Sort key as JSON'),
        ],
      },
    },
    '/api/v1/hot': {
      get: {
        ...ok('The busiest partitions of the cluster, with their keys, the pattern and what helps'),
        parameters: [
          parameter('table', 'query', 'Only this table'),
          parameter('limit', 'query', 'Partitions at most, up to 200 (default 20)'),
        ],
      },
    },
    '/api/v1/leaders': {
      get: ok('How many partitions each member leads, and the hand-overs that would spread them'),
    },
    '/api/v1/leaders/{table}': {
      get: {
        ...ok('Replicas of partitions with leaders on this node, and how far followers are'),
        parameters: [table],
      },
    },
    '/api/v1/leaders/{table}/{partition}/{to}': {
      post: {
        ...ok('Planned hand-over: another replica leads a partition'),
        ...changes,
        parameters: [
          table,
          parameter('partition', 'path', 'Number of the partition'),
          parameter('to', 'path', 'Who is to lead'),
        ],
      },
    },
    '/api/v1/elect/{table}': {
      get: { ...ok('Unclean elections that would be needed, and what they may lose'), parameters: [table] },
    },
    '/api/v1/elect/{table}/{plan}': {
      post: {
        ...ok('Elects as the plan says; 409 when it is not the plan of now'),
        ...changes,
        parameters: [table, parameter('plan', 'path', 'Id of the plan')],
      },
    },
    '/api/v1/ledger/restore/{id}': {
      post: {
        ...ok('Applies a discarded write of this node once more; 409 when that was done before'),
        ...changes,
        parameters: [parameter('id', 'path', 'Name of the entry')],
      },
    },
    '/api/v1/ledger': {
      get: {
        ...ok('Discarded writes on this node'),
        parameters: [...ledgerFilters, parameter('limit', 'query', 'Entries at most')],
      },
    },
    '/api/v1/ledger/ids': {
      get: { ...ok('Names of discarded writes on this node, to be counted'), parameters: ledgerFilters },
    },
    '/api/v1/verify/{table}/{partition}': {
      get: {
        ...ok('Replicas of a partition compared row by row'),
        parameters: [table, parameter('partition', 'path', 'Index of the partition')],
      },
    },
    '/api/v1/repair/{table}': {
      post: { ...ok('Sweeps the table with every peer'), ...changes, parameters: [table] },
    },
    '/api/v1/cluster': {
      get: ok('Members with their states, staged changes, the task that runs, what was done before'),
    },
    '/api/v1/cluster/plan': { get: ok('What committing the staged changes would do; changes nothing') },
    '/api/v1/cluster/stage': {
      post: {
        ...ok('Stages a change'),
        ...changes,
        ...body(
          'A change: {kind: join | leave, node}, {kind: replace, dead, by?}, {kind: reweigh, node, weight}, {kind: move, table, partition, from, to}, {kind: split, table, at}, {kind: merge, table, partition} or {kind: rebalance}',
        ),
      },
    },
    '/api/v1/cluster/clear': { post: { ...ok('Forgets what is staged'), ...changes } },
    '/api/v1/cluster/commit': {
      post: {
        ...ok(
          'Carries out a plan as a task; 404: there is no such plan, 409: it is stale, spent, or another task runs',
        ),
        ...changes,
        ...body('{plan, bytesPerSecond?}'),
      },
    },
    '/api/v1/cluster/auto': {
      post: {
        ...ok('Allows the cluster to balance itself, or no more; answers how that stands'),
        ...changes,
        ...body(
          '{isOn, policy?: {by?: bytes | load, above?, below?, everyMs?, bytesMax?}}; above and below: greatest over mean of the members',
        ),
      },
    },
    '/api/v1/cluster/give-up': {
      post: {
        ...ok('Removes a member that will not come back, at once; 409 when it answers'),
        ...changes,
        ...body('{node}'),
      },
    },
    '/api/v1/task': {
      get: ok('The task, how its partitions stand as far as this node knows, and what this node received'),
    },
    '/api/v1/task/pause': { post: { ...ok('Stops the task where it is'), ...changes, ...task } },
    '/api/v1/task/resume': { post: { ...ok('Lets a paused task go on'), ...changes, ...task } },
    '/api/v1/task/cancel': {
      post: {
        ...ok('Takes back what has not been switched; what has been is finished'),
        ...changes,
        ...task,
      },
    },
    '/api/v1/scrub': { post: { ...ok('Re-reads everything stored against its checksums'), ...changes } },
  },
} as const
