/** The proposer of this node: its messages go to the acceptors of others over the network, to its own directly. */

import type { NodeId, PeerId } from '../base/ids.ts'
import type { Clock } from '../ports/clock.ts'
import type { Random } from '../ports/random.ts'
import type { AcceptorHost } from '../register/acceptor-host.ts'
import { Proposer } from '../register/proposer.ts'
import type { RegisterConfig } from '../register/register-config.ts'
import type { Store } from '../store/store-face.ts'
import { registerMessage } from '../wire/messages.ts'
import type { Rpc } from '../wire/rpc.ts'

export interface ProposerParts {
  readonly self: NodeId
  readonly life: number
  readonly config: RegisterConfig
  readonly acceptor: AcceptorHost
  readonly store: Store
  readonly clock: Clock
  readonly random: Random
  readonly rpc: Rpc
}

export function localProposer(parts: ProposerParts): Proposer {
  const { self, life, config, acceptor, store, clock, random, rpc } = parts
  return new Proposer({
    node: self,
    incarnation: store.incarnation,
    life,
    clock,
    random,
    config,
    client: {
      request: (node, body, deadlineMs, onReply) => {
        const timeoutMs = Math.max(1, deadlineMs - clock.monotonicMs())
        if (node !== self) {
          rpc.call([node as string as PeerId], registerMessage, { body }, timeoutMs, (_, reply) =>
            onReply(reply?.body),
          )
          return
        }
        let answered = false
        const once = (reply: Parameters<typeof onReply>[0]): void => {
          if (!answered) onReply(reply)
          answered = true
        }
        clock.defer(() => acceptor.handle(body, once))
        clock.setTimer(timeoutMs, () => once(undefined))
      },
    },
  })
}
