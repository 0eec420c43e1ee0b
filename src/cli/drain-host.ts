import { setTimeout as sleep } from 'node:timers/promises'
import type { Command } from 'commander'
import { type AdminClient, type AdminClientOptions, adminDoor, askAdmin, DEFAULT_ADMIN } from './admin-client.js'
import { envFileOption } from './env-file.js'
import { EXIT, type ExitCode } from './exit-code.js'

const POLL_MS = 200

/** `drain-host`: this host hands its addresses over, finishes what it has, and stops. */
export function addDrainHost(program: Command): void {
  program
    .command('drain-host')
    .summary('hand this host’s addresses over, finish what is in flight, stop')
    .description(
      'Hands the addresses in vips over to another host without losing a request, finishes what is in flight for at most shutdownTimeout, and stops the process.',
    )
    .option('-c, --config <file>', 'take the admin address and token from this configuration')
    .option('--admin <address>', `where the admin API is, also unix:/PATH (default: ${DEFAULT_ADMIN})`)
    .option('--token <token>', 'the admin token (default: from -c, else the environment variable CASTOR_TOKEN)')
    .addOption(envFileOption())
    .action(async (options: AdminClientOptions) => {
      process.exitCode = await drainHost(adminDoor(options))
    })
}

async function drainHost(door: AdminClient): Promise<ExitCode> {
  let vips: readonly string[]
  try {
    const { code, text } = await askAdmin(door, 'POST', '/api/v1/drain-host')
    if (code !== 202) {
      process.stderr.write(`${door.name} answers ${code}, but not as a castor does: ${text.slice(0, 200)}\n`)
      return EXIT.failed
    }
    vips = vipsOf(text)
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
    return EXIT.failed
  }
  process.stdout.write('draining\n')
  let ready = true
  for (;;) {
    await sleep(POLL_MS)
    // Whoever does not answer any more has stopped.
    const answer = await askAdmin(door, 'GET', '/readyz').catch(() => undefined)
    if (answer === undefined) break
    if (ready && answer.code !== 200) process.stdout.write(`not ready any more: ${whatFollows(vips)}\n`)
    ready = answer.code === 200
  }
  process.stdout.write('stopped\n')
  return EXIT.ok
}

/** The addresses that the host has and hands over; an earlier version names none. */
function vipsOf(text: string): readonly string[] {
  const { vips } = JSON.parse(text) as { vips?: unknown }
  return Array.isArray(vips) ? vips.map(String) : []
}

function whatFollows(vips: readonly string[]): string {
  return vips.length === 0 ? 'what is in flight finishes' : `${vips.join(', ')} to another host`
}
