import { formatProblem } from '../config/problems.js'
import type { Config } from '../core/config.js'
import { yieldToOthers } from '../native/scheduling.js'
import { createLogger, openLogDestination } from '../observe/log.js'
import { Certificates } from './certificates.js'
import { openFileLimit, refuseTooFew } from './descriptors.js'
import { Primary } from './primary.js'
import type { RunningCastor, StartOptions } from './running.js'
import { surroundings } from './surroundings.js'
import { version } from './version.js'

/**
 * Starts the whole balancer: opens every address, starts the threads, then accepts. Rejects with a `CastorError`, and
 * leaves nothing behind, where any of it fails.
 */
export async function startCastor(config: Config, options: StartOptions = {}): Promise<RunningCastor> {
  refuseTooFew(openFileLimit(), config.workers)
  const destination = options.logDestination ?? openLogDestination(config.log)
  const log = createLogger(config.log, destination, { node: config.node, thread: 'primary' })
  for (const warning of options.configWarnings ?? [])
    log.warn({ problem: formatProblem(warning) }, 'the configuration has a warning')
  const said = new Set((options.configWarnings ?? []).map(({ message }) => message))
  const certificates = new Certificates(config, log, said)
  const { predecessor } = options
  const around = options.ownsProcess === true ? surroundings(process.env, process.pid, log, predecessor) : {}
  const handed = await predecessor?.begin(version())
  const given = { ...around, ...options, ...(handed === undefined ? {} : { handed }) }
  const primary = new Primary(config, log, destination, certificates, given)
  try {
    await primary.start()
    if (options.ownsProcess === true) yieldToOthers()
    const ready = (): void => around.sdNotify?.ready(`serving with ${config.workers} workers`)
    // Until then the process before is the service, and only that one is listened to.
    if (predecessor === undefined) ready()
    else
      void predecessor.serving(primary.transfer).then(() => {
        primary.isService()
        ready()
      })
  } catch (cause) {
    await primary.stopNow()
    throw cause
  }
  return primary
}
