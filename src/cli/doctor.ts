import type { Command } from 'commander'
import { loadConfig } from '../config/load.js'
import type { Problem } from '../config/problems.js'
import { stateDirectory } from '../config/state-directory.js'
import type { Config, RedisConfig } from '../core/config.js'
import { examine } from '../doctor/examine.js'
import type { Finding, Grade } from '../doctor/finding.js'
import { THIS_HOST } from '../doctor/this-host.js'
import type { ServerFacts } from '../mesh/redis-facts.js'
import { nativeAddon } from '../native/addon.js'
import { DEFAULT_CONFIG_FILE } from './config-file.js'
import { type EnvFileOptions, envFileOption, environmentOf } from './env-file.js'
import { EXIT, type ExitCode } from './exit-code.js'
import { type Palette, paletteFor } from './table.js'

interface DoctorOptions extends EnvFileOptions {
  readonly config?: string
  readonly json?: boolean
}

export function addDoctor(program: Command): void {
  program
    .command('doctor')
    .summary('what of this host stands in the way, with the command that mends it')
    .description(
      'Looks at everything on this host that decides whether Castor can do its work: Node, open files, kernel settings, the clock, keepalived, Redis, certificates and rights. Changes nothing.',
    )
    .option(
      '-c, --config <file>',
      `the configuration that is to run here (default: ./${DEFAULT_CONFIG_FILE}, if there is one)`,
    )
    .option('--json', 'for programs')
    .addOption(envFileOption())
    .addHelpText(
      'after',
      `
Run it as the user and with the limits of the service:
  systemd-run --uid=castor -p LimitNOFILE=1048576 --pty castor doctor -c FILE

Exits 0 when nothing is wrong, 1 when something keeps Castor from its work
(fail), and 0 with warnings.`,
    )
    .action(async (options: DoctorOptions) => {
      process.exitCode = await doctor(options)
    })
}

async function doctor(options: DoctorOptions): Promise<ExitCode> {
  const warnings: Problem[] = []
  const config = configOf(options, (warning) => warnings.push(warning))
  const redis = config?.cluster && (await ask(config.cluster.redis))
  const findings = examine(THIS_HOST, {
    config,
    warnings,
    isNative: process.env.CASTOR_NATIVE !== 'off' && nativeAddon() !== undefined,
    stateDir: config?.stateDir ?? stateDirectory(process.env),
    redis,
  })
  if (options.json === true) process.stdout.write(`${JSON.stringify(findings, null, 2)}\n`)
  else process.stdout.write(`${report(findings, paletteFor(process.stdout))}\n`)
  return findings.some(({ grade }) => grade === 'fail') ? EXIT.failed : EXIT.ok
}

/** Its client takes longer to load than all else of a command. */
async function ask(redis: RedisConfig): Promise<ServerFacts | string> {
  const { askRedis } = await import('../mesh/redis-facts.js')
  return askRedis(redis).catch(reasonOf)
}

const reasonOf = (fault: unknown): string => (fault instanceof Error ? fault.message : String(fault))

/** A file that is named must be there; the usual one may be missing. */
function configOf(options: DoctorOptions, onWarning: (warning: Problem) => void): Config | undefined {
  const file = options.config ?? DEFAULT_CONFIG_FILE
  if (options.config === undefined && THIS_HOST.read(file) === undefined) return undefined
  return loadConfig(file, { env: environmentOf(options), onWarning })
}

const SIGNS: Readonly<Record<Grade, string>> = { ok: 'ok', warn: 'warn', fail: 'FAIL', unknown: '?' }

function report(findings: readonly Finding[], { bold, dim, good, warn, bad }: Palette): string {
  const paints: Readonly<Record<Grade, (text: string) => string>> = { ok: good, warn, fail: bad, unknown: dim }
  const width = Math.max(...findings.map(({ what }) => what.length))
  const lines = findings.flatMap(({ what, grade, found, advice, commands }) => [
    `${paints[grade](SIGNS[grade].padEnd(4))}  ${bold(what.padEnd(width))}  ${found}`,
    ...(advice === undefined ? [] : [`${' '.repeat(width + 8)}${advice}`]),
    ...(commands ?? []).map((command) => `${' '.repeat(width + 10)}${dim('$')} ${command}`),
  ])
  const count = (grade: Grade): number => findings.filter((finding) => finding.grade === grade).length
  return [...lines, '', `${count('fail')} to mend, ${count('warn')} to look at, ${count('ok')} in order`].join('\n')
}
