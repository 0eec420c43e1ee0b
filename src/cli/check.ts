import type { Command } from 'commander'
import type { Environment } from '../config/interpolate.js'
import { loadConfig } from '../config/load.js'
import { ConfigError, formatProblem, type Problem } from '../config/problems.js'
import type { Config } from '../core/config.js'
import type { PluginConfig } from '../core/config-plugins.js'
import { configFile, DEFAULT_CONFIG_FILE } from './config-file.js'
import { type EnvFileOptions, envFileOption, environmentOf } from './env-file.js'
import { EXIT, type ExitCode } from './exit-code.js'
import { collectSet } from './set-option.js'

interface CheckOptions extends EnvFileOptions {
  readonly config?: string
  readonly set?: string[]
}

export function addCheck(program: Command): void {
  program
    .command('check')
    .summary('validate a configuration file')
    .description('Validates a configuration file and says everything that is wrong with it, not the first thing.')
    .option('-c, --config <file>', `the configuration file (default: ./${DEFAULT_CONFIG_FILE})`)
    .option('--set <path=value>', 'put a value over what the file says (repeatable)', collectSet)
    .addOption(envFileOption())
    .addHelpText(
      'after',
      `
Certificates and keys are read and checked as well; one that has expired is an
error here, and a warning when castor starts, since it serves some clients and a
balancer that does not start serves none. Nothing is started and no port is
opened: whether the addresses are free shows when castor starts.
Exits 0 when the file is valid, else 2.

Example:
  castor check -c castor.yaml`,
    )
    .action((options: CheckOptions) => {
      process.exitCode = check(configFile(options.config), options.set ?? [], environmentOf(options))
    })
}

function check(file: string, set: readonly string[], env: Environment): ExitCode {
  const onWarning = (warning: Problem): void => {
    process.stderr.write(`warning: ${formatProblem(warning)}\n`)
  }
  try {
    const config = loadConfig(file, { set, env, onWarning, refuseExpired: true })
    const targets = config.targetGroups.reduce((sum, group) => sum + group.targets.length, 0)
    const parts = [
      plural(config.listeners.length, 'listener'),
      plural(config.targetGroups.length, 'target group'),
      plural(targets, 'target'),
    ]
    const { plugins } = config
    if (plugins.length > 0) parts.push(plural(plugins.length, 'plug-in'))
    process.stdout.write(`${file} is valid: ${parts.join(', ')}\n`)
    for (const plugin of plugins)
      process.stdout.write(`plug-in ${plugin.name} is asked for ${askedFor(plugin, config)}\n`)
    return EXIT.ok
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    process.stderr.write(`${error.message}\n${file} is not valid: ${plural(error.problems.length, 'problem')}\n`)
    return EXIT.invalid
  }
}

/** For which requests. */
function askedFor({ name, isEverywhere }: PluginConfig, { listeners }: Config): string {
  if (isEverywhere) return 'every request'
  const rules = listeners.flatMap((listener) =>
    listener.rules.flatMap((rule) => (rule.plugins?.includes(name) ? [`${listener.name}/${rule.name}`] : [])),
  )
  const more = rules.length > MOST_NAMED ? `, and ${rules.length - MOST_NAMED} more` : ''
  return `the requests of ${rules.slice(0, MOST_NAMED).join(', ')}${more}`
}

/** Rules that are named for one plug-in. */
const MOST_NAMED = 20

function plural(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`
}
