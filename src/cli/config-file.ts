import { existsSync } from 'node:fs'
import { CastorError } from '../core/errors.js'

export const DEFAULT_CONFIG_FILE = 'castor.yaml'

/** The file that was named, else the one that lies here. Throws USAGE where there is neither; `orElse` says what to do. */
export function configFile(named: string | undefined, orElse = ''): string {
  if (named !== undefined) return named
  if (existsSync(DEFAULT_CONFIG_FILE)) return DEFAULT_CONFIG_FILE
  const also = orElse === '' ? '' : `, ${orElse}`
  throw new CastorError(
    'USAGE',
    `there is no ./${DEFAULT_CONFIG_FILE} here; name the configuration with -c FILE${also}`,
  )
}
