import { tmpdir } from 'node:os'
import { root } from './paths.js'

/** An error in words that may be published: without the folders of this machine. */
export function failureText(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error)
  return text.replaceAll(root, '.').replaceAll(tmpdir(), '…')
}
