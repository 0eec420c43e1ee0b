import type { Clock } from '../../src/core/clock.js'
import { SystemClock } from '../../src/core/clock.js'
import type { TargetConfig, TargetGroupConfig } from '../../src/core/config.js'
import type { Transport } from '../../src/core/conn.js'
import type { ProbeTask } from '../../src/core/messages.js'
import { CHECK_HEALTHY, CHECK_STATES, type CheckState, type HealthReason } from '../../src/core/target-state.js'
import { type CheckedTarget, Checker, type CheckServices } from '../../src/health/checker.js'
import { HttpDialogue, serverName } from '../../src/health/http-dialogue.js'
import { TCP_DIALOGUE } from '../../src/health/probe.js'
import { nativeAddon } from '../../src/native/addon.js'
import { NativeTransport } from '../../src/net/native-transport.js'
import { SocketTransport } from '../../src/net/socket-transport.js'
import { TimerWheel } from '../../src/net/timer-wheel.js'
import type { Logger } from '../../src/observe/log.js'
import { TargetTable } from '../../src/shm/targets.js'

/** Fine enough for intervals of 100 ms. */
const WHEEL_TICK_MS = 10

export interface ProbeThread {
  readonly clock: Clock
  readonly wheel: TimerWheel
  readonly checkers: readonly Checker[]
  readonly addresses: { current: readonly string[] }
  stop(): void
}

/** Told of every change. */
export type OnVerdict = (slot: number, state: CheckState, reason: HealthReason) => void

/** Joins the parts of the probe thread: one checker for each target of a group that is checked. */
export function assemble(task: ProbeTask, log: Logger, onVerdict: OnVerdict): ProbeThread {
  const clock = new SystemClock()
  const wheel = new TimerWheel(clock, WHEEL_TICK_MS)
  const addon = nativeAddon()
  const streams = new SocketTransport(clock)
  const onFault = (fault: unknown): void => log.error({ err: fault }, 'a fault ended one health check')
  const transport: Transport = addon === undefined ? streams : new NativeTransport(addon, clock, onFault)
  const addresses = { current: task.targetAddresses }
  const services: CheckServices = {
    table: new TargetTable(task.counters.targets),
    clock,
    wheel,
    random: Math.random,
    onVerdict: (slot, state, reason, detail) => {
      report(task, log, slot, state, reason, detail)
      onVerdict(slot, CHECK_STATES[state]!, reason)
    },
  }
  const checkers = task.config.targetGroups.flatMap((group, groupSlot) => {
    if (group.healthCheck.protocol === 'off') return []
    return group.targets.map((target) => {
      const slot = task.directory.targets.findIndex((entry) => entry.group === groupSlot && entry.id === target.id)
      return new Checker(checked(slot, group, target, addresses, transport, streams), services)
    })
  })
  const stop = (): void => {
    for (const checker of checkers) checker.stop()
    streams.dispose()
    transport.dispose()
  }
  return { clock, wheel, checkers, addresses, stop }
}

function checked(
  slot: number,
  group: TargetGroupConfig,
  target: TargetConfig,
  addresses: { readonly current: readonly string[] },
  transport: Transport,
  streams: SocketTransport,
): CheckedTarget {
  const { healthCheck: check, slowStartMs } = group
  const port = check.port === 0 ? target.port : check.port
  const host = target.host.includes(':') ? `[${target.host}]` : target.host
  const httpCheck = { path: check.path, host: check.host, version: check.httpVersion, codes: check.codes }
  return {
    slot,
    config: check,
    slowStartMs,
    dialogue: () => (check.protocol === 'tcp' ? TCP_DIALOGUE : new HttpDialogue(httpCheck, `${host}:${port}`)),
    dial: (probe) => {
      const address = addresses.current[slot] ?? ''
      if (address === '') {
        probe.unreachable()
        return
      }
      const server = check.host === '' ? target.host : serverName(check.host)
      const conn =
        check.protocol === 'https'
          ? streams.dialTls(address, port, { serverName: server, verify: check.verify }, probe)
          : transport.dial(address, port, probe)
      probe.attach(conn)
    },
  }
}

function report(task: ProbeTask, log: Logger, slot: number, state: number, reason: HealthReason, detail: string): void {
  const { group, id } = task.directory.targets[slot]!
  const where = { targetGroup: task.directory.groups[group], target: id }
  if (state === CHECK_HEALTHY) log.info(where, 'target is healthy')
  else log.warn({ ...where, reason, ...(detail === '' ? {} : { detail }) }, 'target is unhealthy')
}
