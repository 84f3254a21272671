/**
 * Receipts: what a reply really guarantees, worked out from who answered.
 *
 * The claim is stated so that it is always true, whatever the table allows: a write that is on `copies` of
 * the N homes is seen by every later read that hears at least N − copies + 1 homes. `overlap` says whether
 * the table's own R (or W) makes that so. Copies on fallbacks never count towards it: they void the overlap
 * until their hints have been handed over.
 */

import type { LeaderlessReplication, Replication, WireReceipt } from '@quorate/core'

export interface Receipt {
  readonly coordinator: string
  readonly mapVersion: number
  readonly answered: readonly {
    readonly node: string
    readonly role: 'home' | 'fallback'
    readonly for?: string
  }[]
  /** Answers that were asked for, and home replicas of the row. */
  readonly needed: number
  readonly replicas: number
  /** Home replicas that answered. */
  readonly copies: number
  /** Homes for which a hint is kept, and homes that were repaired by this read. */
  readonly hinted: readonly string[]
  readonly repaired: readonly string[]
  readonly forwarded: boolean
  /** Who had the request in hand: proxies, nodes that handed it on, and last the coordinator. */
  readonly route: readonly string[]
  readonly hedged: boolean
  readonly overlap: boolean
  /** Of a table with a leader for each partition: what the answer rests on. */
  readonly log: WireReceipt['log']
  /** The guarantee in words. */
  readonly guarantee: string
}

/** `refused`: a write that changed nothing; its receipt says of when the row is that refused it. */
export type ReceiptKind = 'read' | 'write' | 'refused'

export function makeReceipt(kind: ReceiptKind, wire: WireReceipt, replication: Replication): Receipt {
  if (replication.kind === 'single-leader') return ledReceipt(kind, wire)
  if (replication.kind === 'consensus') return agreedReceipt(kind, wire)
  return leaderlessReceipt(kind === 'read' ? kind : 'write', wire, replication)
}

function leaderlessReceipt(
  kind: 'read' | 'write',
  wire: WireReceipt,
  replication: LeaderlessReplication,
): Receipt {
  const copies = wire.homes.length
  const n = wire.replicas
  const other = kind === 'write' ? replication.r : replication.w
  const overlap = copies + other > n
  return {
    coordinator: wire.coordinator,
    mapVersion: wire.mapVersion,
    answered: answersOf(wire),
    needed: wire.needed,
    replicas: n,
    copies,
    hinted: wire.hinted,
    repaired: wire.repaired,
    forwarded: wire.forwarded,
    route: [...wire.via, wire.coordinator],
    hedged: wire.hedged,
    overlap,
    log: undefined,
    guarantee: guaranteeOf(kind, wire, copies, n, other, overlap),
  }
}

function agreedReceipt(kind: ReceiptKind, wire: WireReceipt): Receipt {
  const agreed = `more than half of the row’s ${wire.replicas} homes (${wire.homes.join(', ')}) agree`
  return {
    coordinator: wire.coordinator,
    mapVersion: wire.mapVersion,
    answered: answersOf(wire),
    needed: wire.needed,
    replicas: wire.replicas,
    copies: wire.homes.length,
    hinted: [],
    repaired: [],
    forwarded: wire.forwarded,
    route: [...wire.via, wire.coordinator],
    hedged: false,
    overlap: true,
    log: undefined,
    guarantee: `${kind === 'write' ? 'written' : kind === 'read' ? 'linearizable' : 'nothing was changed'}: ${agreed} on what the row is`,
  }
}

function ledReceipt(kind: ReceiptKind, wire: WireReceipt): Receipt {
  const { log } = wire
  return {
    coordinator: wire.coordinator,
    mapVersion: wire.mapVersion,
    answered: answersOf(wire),
    needed: wire.needed,
    replicas: wire.replicas,
    copies: wire.homes.length,
    hinted: [],
    repaired: [],
    forwarded: wire.forwarded,
    route: [...wire.via, wire.coordinator],
    hedged: false,
    overlap: log?.byLeader === true,
    log,
    guarantee: ledGuarantee(kind, wire),
  }
}

function ledGuarantee(kind: ReceiptKind, { log, homes, replicas, needed, coordinator }: WireReceipt): string {
  const entry = log === undefined ? 'its log' : `entry ${log.epoch}/${log.position}`
  if (kind === 'refused')
    return `nothing was changed: the leader ${coordinator} judged the row as of ${entry}, which is on ${homes.length} of ${replicas} replicas`
  if (kind === 'write' && needed === 1 && replicas > 1 && homes.length < 2)
    return `${entry} is on ${homes[0] ?? coordinator} alone, as the table promises: when that node dies, another leads by an operator's word only, who may give it up`
  if (kind === 'write')
    return `${entry} is on ${homes.length} of ${replicas} replicas, ${needed} promised: it survives every election that hears ${replicas - needed + 1} of them`
  if (log?.byLeader === true && log.unclean > 0)
    return `answered by the leader under its lease, as of ${entry}: sees every write acknowledged since epoch ${log.unclean} began uncleanly; what that gave up is in the ledger, as far as it has come back`
  if (log?.byLeader === true)
    return `answered by the leader under its lease, as of ${entry}: sees every acknowledged write`
  return `answered by the follower ${coordinator}, as of ${entry}: may lack what was acknowledged in the last ${log?.staleMs ?? 0} ms`
}

function answersOf(wire: WireReceipt): Receipt['answered'] {
  const homes = wire.homes.map(node => ({ node: node as string, role: 'home' as const }))
  if (wire.fallbacks.length === 0) return homes
  return [
    ...homes,
    ...wire.fallbacks.map(({ node, for: home }) => ({
      node: node as string,
      role: 'fallback' as const,
      for: home as string,
    })),
  ]
}

function guaranteeOf(
  kind: 'read' | 'write',
  wire: WireReceipt,
  copies: number,
  n: number,
  other: number,
  overlap: boolean,
): string {
  const standing =
    wire.fallbacks.length === 0
      ? ''
      : `; fallbacks stood in (${wire.fallbacks.map(f => `${f.node} for ${f.for}`).join(', ')})`
  if (kind === 'write') {
    if (overlap) return `durable on ${copies} of ${n} homes: every read with r=${other} sees it${standing}`
    const voided =
      wire.fallbacks.length > 0
        ? 'overlap is void until the hints are handed over'
        : `a read needs r=${n - copies + 1} to be sure to see it`
    return `durable on ${copies} of ${n} homes: ${voided}${standing}`
  }
  if (overlap)
    return `${copies} of ${n} homes answered: sees every write acknowledged by ${other} homes${standing}`
  return `${copies} of ${n} homes answered: may miss writes acknowledged by fewer than ${n - copies + 1} homes${standing}`
}
