import type { Logger } from 'pino'
import { SystemClock } from '../../src/core/clock.js'
import type { ProxyTask } from '../../src/core/messages.js'
import { PluginHost } from '../../src/plugin/plugin-host.js'
import type { OnPluginFailure } from '../../src/plugin/plugin-instance.js'
import { LineBudget } from '../../src/proxy/line-budget.js'

/** Where Castor's own code lies, as stacks have it. */
const OWN = new URL('../..', import.meta.url).href

/** The plug-ins of a thread. What they leave behind and throws later ends nothing from the first of them on. */
export function pluginHost(task: ProxyTask, log: Logger): PluginHost {
  const clock = new SystemClock(task.counters.steadyOriginMs)
  const lines = new LineBudget(clock)
  const onFailure: OnPluginFailure = ({ name, config }, phase, kind, err) => {
    if (phase === 'setup' && kind !== 'uncaught') {
      log.error({ plugin: name, module: config.module, err }, 'a plug-in could not be loaded')
      return
    }
    clock.refresh()
    if (!lines.take()) return
    log.warn(
      { plugin: name, phase: kind === 'uncaught' ? undefined : phase, kind, err, ...lines.omitted() },
      'a plug-in failed',
    )
  }
  const host = new PluginHost({
    log,
    node: task.snapshot.config.node,
    column: task.column,
    counters: task.counters.plugins,
    onFailure,
    onFirst: () => outliveStrayFaults(host, log),
  })
  return host
}

/**
 * Timers and promises that a plug-in leaves behind throw where nobody catches it, which would end the thread and all its
 * connections. What comes of Castor's own code still does: its state is not known to be sound then.
 */
function outliveStrayFaults(host: PluginHost, log: Logger): void {
  const onFault = (fault: unknown): void => {
    const stack = fault instanceof Error ? (fault.stack ?? '') : ''
    const { plugins } = host.current
    const named = plugins.find(({ config }) => stack.includes(config.module))
    if (named === undefined && stack.includes(OWN)) {
      process.off('uncaughtException', onFault)
      process.off('unhandledRejection', onFault)
      // As it would have been without this.
      setImmediate(() => {
        throw fault
      })
      return
    }
    const plugin = named ?? (plugins.length === 1 ? plugins[0] : undefined)
    if (plugin !== undefined) plugin.fail('setup', 'uncaught', fault)
    else log.error({ err: fault }, 'a fault that nobody handled, of a plug-in or of what it uses')
  }
  process.on('uncaughtException', onFault)
  process.on('unhandledRejection', onFault)
}
