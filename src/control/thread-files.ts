import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

export const PROBE_FILE = fileURLToPath(new URL('../../workers/probe/entry.js', import.meta.url))
/** The bundled proxy thread where the build has made it, else the same in its single files. */
export const WORKER_FILE = ['../../workers/proxy/bundle.js', '../../workers/proxy/entry.js']
  .map((file) => fileURLToPath(new URL(file, import.meta.url)))
  .find((file) => existsSync(file))!
