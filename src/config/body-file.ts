import { readFileSync, statSync } from 'node:fs'

/** Every thread keeps it in memory. */
const MAX_BODY_BYTES = 1024 * 1024

/** The file that a rule answers with, or why it cannot be. */
export function readBodyFile(path: string): { readonly bytes: Uint8Array } | { readonly problem: string } {
  try {
    const found = statSync(path)
    if (!found.isFile()) return { problem: `${path} is no file` }
    if (found.size > MAX_BODY_BYTES) return { problem: `${path} has ${found.size} bytes; a body has at most 1 MiB` }
    return { bytes: readFileSync(path) }
  } catch (fault) {
    return { problem: `${path} cannot be read: ${(fault as Error).message}` }
  }
}
