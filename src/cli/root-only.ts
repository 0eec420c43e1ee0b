import { lstatSync, realpathSync } from 'node:fs'
import { dirname } from 'node:path'

/**
 * Why keepalived would not run the script as root (its `enable_script_security`): somebody else than root could change
 * the file, or a directory or link on the way to it. Undefined where it would.
 */
export function whyNotRootOnly(script: string): string | undefined {
  const seen = new Set<string>()
  try {
    for (const start of [script, realpathSync(script)]) {
      for (let path = start; ; path = dirname(path)) {
        if (!seen.has(path)) {
          seen.add(path)
          const { uid, gid, mode } = lstatSync(path)
          if (uid !== 0) return `${path} does not belong to root`
          const isLink = (mode & 0o170000) === 0o120000
          if (!isLink && ((mode & 0o002) !== 0 || ((mode & 0o020) !== 0 && gid !== 0))) {
            return `others than root can write to ${path}`
          }
        }
        if (path === dirname(path)) break
      }
    }
  } catch (error) {
    return `it cannot be looked at: ${(error as Error).message}`
  }
  return undefined
}
