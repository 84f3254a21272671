/**
 * The name of a cluster whose registers live elsewhere, so that nodes and registers which do not belong
 * together find out.
 *
 * Problem: embedded registers come into being with the cluster (genesis), and the name with them. Registers in
 * an external service are simply there; they may be those of another cluster, or empty because that service has
 * lost its data or the wrong address is configured. A node that then made a fresh list of members would
 * start a second history beside the one it has on disk.
 * Mechanism: a register `cluster/identity`, written once by whoever comes first; each node keeps what it
 * found in its store and hands it in at every later start.
 * Invariant: a node which has once belonged to a cluster never writes the identity of another.
 */

import { stringToHex, utf8 } from '../base/bytes.ts'
import { QuorateError } from '../base/errors.ts'
import type { ByteString, OperationId } from '../base/ids.ts'
import { randomByteString } from '../base/prng.ts'
import type { Random } from '../ports/random.ts'
import type { Registers } from './registers.ts'

export const REGISTER_IDENTITY = 'cluster/identity'

/**
 * `known`: what this node found at an earlier start; undefined at its first. Rejects with UNAVAILABLE (try
 * again) or WRONG_CLUSTER (only an operator can settle it).
 */
export async function agreeOnCluster(
  registers: Registers,
  random: Random,
  known: string | undefined,
): Promise<string> {
  const key = REGISTER_IDENTITY as ByteString
  const found = await registers.read(key)
  if (found.value !== undefined) return sameCluster(utf8.decode(found.value), known)
  if (known !== undefined) {
    const message =
      `this node belongs to cluster ${known}, but its registers hold no cluster: ` +
      'they were lost, or coordination names the wrong place'
    throw new QuorateError('WRONG_CLUSTER', message, { data: { cluster: known } })
  }
  const own = stringToHex(randomByteString(random, 8))
  const operation = randomByteString(random, 16) as OperationId
  const outcome = await registers.compareAndSet(key, 0, utf8.encode(own), operation)
  if (outcome.kind === 'committed') return own
  if (outcome.kind === 'rejected' && outcome.current.value !== undefined)
    return utf8.decode(outcome.current.value)
  const reason = 'reason' in outcome ? outcome.reason : ''
  // It may have been written: then the next try finds it.
  throw new QuorateError('UNAVAILABLE', `the cluster could not be named: ${reason}`)
}

function sameCluster(found: string, known: string | undefined): string {
  if (known === undefined || known === found) return found
  throw new QuorateError(
    'WRONG_CLUSTER',
    `this node belongs to cluster ${known}, but its registers are those of cluster ${found}`,
    { data: { cluster: known, found } },
  )
}
