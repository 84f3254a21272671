/**
 * A directory of append-only files.
 *
 * Contract: `append` is ordered per file; nothing is durable before `sync`; `sync` makes the file's
 * content, its size and its name durable; what was appended and not synced may be lost wholly, cut
 * anywhere, or have zeroed sectors after a power cut. An error of `append` or `sync` is final: the
 * caller must never append to or sync that file again and never acknowledge what it held
 * (Rebello et al., "Can Applications Recover from fsync Failures?", 2020). `remove` may be undone by a power cut.
 */
export interface Disk {
  /** Opens for appending; creates it when missing. */
  open(name: string): Promise<DiskFile>
  /** The whole content; rejects with NOT_FOUND when there is none. */
  read(name: string): Promise<Uint8Array>
  /** Names, sorted. */
  list(): Promise<string[]>
  remove(name: string): Promise<void>
}

export interface DiskFile {
  /** Bytes in the file, appended ones included. */
  size(): number
  append(bytes: Uint8Array): Promise<void>
  sync(): Promise<void>
  close(): Promise<void>
}

export type DiskErrorKind = 'full' | 'io' | 'not-found'

export class DiskError extends Error {
  override readonly name = 'DiskError'
  readonly kind: DiskErrorKind
  constructor(kind: DiskErrorKind, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.kind = kind
  }
}
