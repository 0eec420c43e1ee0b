import { createHash } from 'node:crypto'

/** How a file that the configuration names, and has read, is written down. */
export type ShownFile = (path: string, content: readonly Uint8Array[]) => string

/** As in the file. */
export const byPath: ShownFile = (path) => path

/** With what tells one content from another, for comparing. */
export const byContent: ShownFile = (path, content) => {
  const hash = createHash('sha256')
  let bytes = 0
  for (const each of content) {
    hash.update(each)
    bytes += each.byteLength
  }
  return `${path} (${bytes} bytes, ${hash.digest('hex').slice(0, 8)})`
}
