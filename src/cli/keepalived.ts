import { writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Command } from 'commander'
import { loadConfig } from '../config/load.js'
import type { AdminListen, Config } from '../core/config.js'
import { CastorError } from '../core/errors.js'
import { type EnvFileOptions, envFileOption, environmentOf } from './env-file.js'
import { keepalivedConfig } from './keepalived-config.js'
import { packageRoot } from './package-files.js'
import { readyScriptWarning } from './ready-script.js'

/** Characters that keepalived's file gives a meaning, or has no way to hold, inside a quoted command. */
const UNSAFE = /[^\x20-\x7e]|["'\\!#${}@~]/
const NOT_HELD = 'has characters that a keepalived.conf cannot hold in a command'

interface KeepalivedFlags extends EnvFileOptions {
  readonly config: string
  readonly output?: string
  readonly notify?: string
  readonly readyScript?: string
}

/** `keepalived`: this host's part of moving the addresses in `vips`. */
export function addKeepalived(program: Command): void {
  program
    .command('keepalived')
    .summary('print this host’s keepalived.conf')
    .description('Prints the configuration by which keepalived moves the addresses in vips to a host that is ready.')
    .requiredOption('-c, --config <file>', 'the configuration, with vips and cluster.hosts')
    .option('-o, --output <file>', 'write it to this file instead')
    .option('--ready-script <file>', 'where castor-ready is (default: where Castor is installed)')
    .option('--notify <command>', 'run this when the host gets or loses an address; keepalived adds what happened')
    .addOption(envFileOption())
    .addHelpText(
      'after',
      `
Example, as root on each host:
  castor keepalived -c /etc/castor/castor.yaml \\
    -o /etc/keepalived/keepalived.conf
  systemctl reload-or-restart keepalived`,
    )
    .action((flags: KeepalivedFlags) => write(flags))
}

function write(flags: KeepalivedFlags): void {
  const config = loadConfig(flags.config, { env: environmentOf(flags) })
  check(config, flags.config)
  const readyScript = resolve(flags.readyScript ?? resolve(packageRoot(), 'scripts/castor-ready'))
  if (UNSAFE.test(flags.notify ?? '')) {
    throw new CastorError(
      'CONFIG_INVALID',
      `--notify: ${JSON.stringify(flags.notify)} ${NOT_HELD}; put it into a script`,
    )
  }
  if (UNSAFE.test(readyScript) || readyScript.includes(' ')) {
    throw new CastorError('CONFIG_INVALID', `${JSON.stringify(readyScript)} ${NOT_HELD}; install castor somewhere else`)
  }
  const admin = whereToAsk(config)!
  if ('path' in admin && (UNSAFE.test(admin.path) || admin.path.includes(' '))) {
    throw new CastorError('CONFIG_INVALID', `admin.listen: ${JSON.stringify(admin.path)} ${NOT_HELD}`)
  }
  const text = keepalivedConfig(config, {
    readyScript,
    admin,
    notify: flags.notify,
  })
  const warning = readyScriptWarning(readyScript, admin)
  if (warning !== undefined) process.stderr.write(warning)
  if (flags.output === undefined) process.stdout.write(text)
  else writeFileSync(flags.output, text, { mode: 0o644 })
}

/** The Unix socket, which no stranger can keep busy, else an address; undefined where neither is known beforehand. */
function whereToAsk({ admin: { listen } }: Pick<Config, 'admin'>): AdminListen | undefined {
  const socket = listen.find((one) => 'path' in one)
  if (socket !== undefined) return socket
  for (const one of listen) {
    if ('path' in one || one.port === 0) continue
    const { address, port } = one
    return { address: address === '0.0.0.0' ? '127.0.0.1' : address === '::' ? '::1' : address, port }
  }
  return undefined
}

/** @throws CastorError naming everything that keepalived could not do without. */
function check({ vips, cluster, node, admin }: Config, file: string): void {
  const problems: string[] = []
  if (vips.length === 0) problems.push('vips: is empty; name the addresses that clients use')
  if (whereToAsk({ admin }) === undefined)
    problems.push('admin.listen: has port 0; keepalived has to know where to ask')
  const hosts = cluster?.hosts ?? []
  if (hosts.length > 0) {
    if (!hosts.some((host) => host.node === node)) {
      problems.push(`cluster.hosts: does not name this host, ${node}; set node, or add it`)
    }
  }
  if (problems.length > 0) {
    throw new CastorError('CONFIG_INVALID', problems.map((problem) => `${file}: ${problem}`).join('\n'))
  }
}
