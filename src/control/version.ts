import { createRequire } from 'node:module'

/** The version in package.json, which lies three folders above the compiled file. */
export function version(): string {
  const { version } = createRequire(import.meta.url)('../../../package.json') as { version: string }
  return version
}
