import { basename, extname } from 'node:path'

const NAME = /^[A-Za-z0-9_.-]{1,64}$/

export function isPluginName(value: unknown): value is string {
  return typeof value === 'string' && NAME.test(value)
}

/** What a plug-in is called where its module was not asked: as its file. */
export function nameOfFile(module: string): string {
  const name = basename(module, extname(module))
    .replace(/[^A-Za-z0-9_.-]/g, '-')
    .slice(0, 64)
  return name === '' ? 'plugin' : name
}
