import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

export const WORKER_FILE = threadFile('proxy')
export const PROBE_FILE = threadFile('probe')
export const MESH_FILE = threadFile('mesh')
export const CONFIG_FILE = threadFile('config')

/** The bundled thread where the build has made it, else the same in its single files. */
function threadFile(kind: string): string {
  const [bundled, single] = ['bundle.js', 'entry.js'].map((name) =>
    fileURLToPath(new URL(`../../workers/${kind}/${name}`, import.meta.url)),
  )
  return existsSync(bundled!) ? bundled! : single!
}
