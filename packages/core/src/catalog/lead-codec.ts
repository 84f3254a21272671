/** Who leads a partition, as plain data in its piece of the map; every field checked, since maps come over the wire. */

import { QuorateError } from '../base/errors.ts'
import type { NodeId } from '../base/ids.ts'
import type { Document } from '../cells/document.ts'
import type { PossibleLoss, Vote } from '../leadership/election.ts'
import type { LogPoint } from '../leadership/epoch-history.ts'
import type { Evidence, Lead } from '../leadership/leadership.ts'

export function encodeLead({ leader, epoch, inSync, evidence, unclean }: Lead): Document {
  return [leader ?? null, epoch, [...inSync], encodeEvidence(evidence), unclean]
}

export function decodeLead(given: unknown): Lead {
  const [leader, epoch, inSync, evidence, unclean] = list(given)
  return {
    leader: leader === null ? undefined : node(leader),
    epoch: count(epoch),
    inSync: list(inSync).map(node),
    evidence: decodeEvidence(list(evidence)),
    unclean: count(unclean),
  }
}

const encodePoint = ({ epoch, position }: LogPoint): Document => [epoch, position]
const encodeVote = ({ node, end, isEmptied }: Vote): Document =>
  isEmptied === true ? [node, encodePoint(end), true] : [node, encodePoint(end)]

function encodeEvidence(evidence: Evidence): Document {
  switch (evidence.kind) {
    case 'created':
      return [evidence.kind]
    case 'elected':
      return [evidence.kind, evidence.votes.map(encodeVote)]
    case 'handed-over':
      return [evidence.kind, evidence.by, encodePoint(evidence.end)]
    case 'unclean': {
      const { after, upTo, onlyOn } = evidence.loss
      const loss = [encodePoint(after), encodePoint(upTo), [...onlyOn]]
      return [evidence.kind, evidence.plan, evidence.votes.map(encodeVote), loss]
    }
  }
}

function decodeEvidence([kind, a, b, c]: readonly unknown[]): Evidence {
  switch (kind) {
    case 'created':
      return { kind }
    case 'elected':
      return { kind, votes: list(a).map(vote) }
    case 'handed-over':
      return { kind, by: node(a), end: point(b) }
    case 'unclean':
      return { kind, plan: text(a), votes: list(b).map(vote), loss: lossAt(list(c)) }
    default:
      throw malformed(`"${String(kind)}" is no reason to lead`)
  }
}

function lossAt([after, upTo, onlyOn]: readonly unknown[]): PossibleLoss {
  return { after: point(after), upTo: point(upTo), onlyOn: list(onlyOn).map(node) }
}

function vote(given: unknown): Vote {
  const [from, end, isEmptied] = list(given)
  const read = { node: node(from), end: point(end) }
  return isEmptied === true ? { ...read, isEmptied } : read
}

function point(given: unknown): LogPoint {
  const [epoch, position] = list(given)
  return { epoch: count(epoch), position: count(position) }
}

const malformed = (what: string): QuorateError =>
  new QuorateError('BAD_REQUEST', `malformed leadership of a partition: ${what}`)

function list(given: unknown): readonly unknown[] {
  if (!Array.isArray(given)) throw malformed('a list is missing')
  return given
}
function text(given: unknown): string {
  if (typeof given !== 'string') throw malformed('a text is missing')
  return given
}
const node = (given: unknown): NodeId => text(given) as NodeId
function count(given: unknown): number {
  if (!Number.isSafeInteger(given) || (given as number) < 0) throw malformed('a count is missing')
  return given as number
}
