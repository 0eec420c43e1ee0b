import { type LoadOptions, parseConfig } from '../../../src/config/load.js'
import { ConfigError, formatProblem } from '../../../src/config/problems.js'
import type { Config } from '../../../src/core/config.js'

/** The same host in every test, so that defaults are too. */
export const MACHINE = { hostName: () => 'test-host', cores: () => 4, stateDirectory: () => '/state' }

/** One http listener before one target, in eleven lines. */
export const SMALL = `listeners:
  - name: web
    protocol: http
    listen: 127.0.0.1:8080
    targetGroup: app
targetGroups:
  - name: app
    protocol: http
    targets:
      - address: 127.0.0.1:9001
`

export function parse(text: string, options: LoadOptions = {}, file = 'test.yaml'): Config {
  return parseConfig(text, file, { env: {}, machine: MACHINE, ...options })
}

/** What is wrong with the text, a formatted line each; empty when nothing is. */
export function problemsOf(text: string, options: LoadOptions = {}): string[] {
  try {
    parse(text, options)
    return []
  } catch (error) {
    if (error instanceof ConfigError) return error.problems.map(formatProblem)
    throw error
  }
}
