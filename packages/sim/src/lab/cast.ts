/** Names that the stage and its hands share: nodes, the app servers that send to them, and the table of the stories. */

import { table } from '@quorate/client/pure'

export const THREE_NODES = ['n1', 'n2', 'n3'] as const
export type NodeName = (typeof THREE_NODES)[number] | 'n4' | 'n5'

/** The app server that sends to `node`, as a peer in the network. */
export const appOf = (node: NodeName): string => `app-${node}`

export interface PostRow {
  key: string
  version: number
}

export const posts = table<PostRow>('posts', { key: 'key' })
