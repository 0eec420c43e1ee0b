import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The directory of `package.json`, which is above the compiled files, however deep they lie. */
export function packageRoot(): string {
  let directory = dirname(fileURLToPath(import.meta.url))
  while (!existsSync(join(directory, 'package.json'))) {
    const above = dirname(directory)
    if (above === directory) throw new Error('package.json is missing above the program; install it again')
    directory = above
  }
  return directory
}

/** The configuration of `castor start --demo`. */
export function demoConfigFile(): string {
  return join(packageRoot(), 'config', 'demo.yaml')
}
