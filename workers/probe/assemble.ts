import { isDeepStrictEqual } from 'node:util'
import type { Clock } from '../../src/core/clock.js'
import { SystemClock } from '../../src/core/clock.js'
import type { TargetGroupConfig } from '../../src/core/config.js'
import type { Transport } from '../../src/core/conn.js'
import type { ProbeTask } from '../../src/core/messages.js'
import type { GroupEntry } from '../../src/core/snapshot.js'
import { CHECK_HEALTHY, CHECK_STATES, type CheckState, type HealthReason } from '../../src/core/target-state.js'
import { type CheckedTarget, Checker, type CheckServices, CheckSlots } from '../../src/health/checker.js'
import { serverName } from '../../src/health/http-dialogue.js'
import { StalledTime } from '../../src/health/stalled-time.js'
import { nativeAddon } from '../../src/native/addon.js'
import { NativeTransport } from '../../src/net/native-transport.js'
import { ownProxyHeader } from '../../src/net/proxy-protocol-writer.js'
import { SocketTransport } from '../../src/net/socket-transport.js'
import { TimerWheel } from '../../src/net/timer-wheel.js'
import type { Logger } from '../../src/observe/log.js'
import { TargetTable } from '../../src/shm/targets.js'
import { CheckCredentials } from './check-credentials.js'
import { checkAlpn, checkDialogue, isCheckedOverTls } from './check-dialogue.js'
import { CheckedTargets, type CurrentTarget } from './checked-targets.js'

export const TICK_MS = 20
/** Fine enough for intervals of 100 ms. */
const WHEEL_TICK_MS = 10
const WHEEL_SLOTS = 512
/** A check that failed by a fault of ours is tried again. */
const FAULTY_AGAIN_MS = 1_000
const NOT_MADE_EVERY_MS = 10_000

type ProbeSnapshot = Pick<ProbeTask, 'snapshot' | 'targets' | 'targetsVersion' | 'tlsGroups'>

export interface ProbeThread {
  readonly clock: Clock
  readonly table: TargetTable
  readonly targets: CheckedTargets
  readonly credentials: CheckCredentials
  /** Other groups and targets are there from here on, or are checked otherwise. */
  apply(message: ProbeSnapshot): Promise<void>
  /** To be called every `TICK_MS`. */
  tick(): void
  stop(): void
}

/** Told of every change. */
export type OnVerdict = (slot: number, state: CheckState, reason: HealthReason) => void

/** Joins the parts of the probe thread: one checker for each target of a group that is checked. */
export function assemble(task: ProbeTask, log: Logger, onVerdict: OnVerdict): ProbeThread {
  const clock = new SystemClock(task.counters.steadyOriginMs)
  const onFault = (fault: unknown): void => log.error({ err: fault }, 'a fault ended one health check')
  const wheel = new TimerWheel(clock, WHEEL_TICK_MS, WHEEL_SLOTS, (fault) => {
    onFault(fault)
    return FAULTY_AGAIN_MS
  })
  const addon = nativeAddon()
  const streams = new SocketTransport(clock)
  const transport: Transport = addon === undefined ? streams : new NativeTransport(addon, clock, onFault)
  const table = new TargetTable(task.counters.segments)
  const credentials = new CheckCredentials(task.tlsGroups)
  const slots = new CheckSlots(task.maxChecks)
  const stalled = new StalledTime(TICK_MS)
  let saidMs = Number.NEGATIVE_INFINITY
  const onNotMade = (_slot: number, missing: string): void => {
    table.countCheckNotMade()
    if (clock.nowMs - saidMs < NOT_MADE_EVERY_MS) return
    saidMs = clock.nowMs
    log.warn({ missing }, 'health checks cannot be made for want of sockets: targets keep the health they have')
  }
  const check = (target: CurrentTarget): Checker | undefined => {
    const { group, slot } = target.placed
    const config = groups[group]?.config
    // One that is leaving its group with it is checked no more.
    if (config === undefined || config.healthCheck.protocol === 'off') return undefined
    const services: CheckServices = {
      table,
      clock,
      wheel,
      random: Math.random,
      slots,
      stalled,
      onNotMade,
      onVerdict: (_, state, reason, detail) => {
        report(log, { targetGroup: config.name, target: target.placed.id }, state, reason, detail)
        onVerdict(slot, CHECK_STATES[state]!, reason)
      },
    }
    return new Checker(checked(slot, config, target, transport, streams, credentials), services)
  }
  const targets = new CheckedTargets(check, table, clock)
  let { groups } = task.snapshot
  table.probeSnapshot = task.snapshot.version
  const apply = async ({ snapshot, targets: lists, targetsVersion, tlsGroups }: ProbeSnapshot): Promise<void> => {
    if (snapshot.version <= table.probeSnapshot) return
    const before = groups
    groups = snapshot.groups
    credentials.replace(tlsGroups)
    const changed = snapshot.groups.filter((entry) => entry !== undefined && !isCheckedAlike(entry, before[entry.slot]))
    const first = [
      ...lists.map((list) => targets.setTargets(list)),
      ...changed.map((entry) => targets.checkAnew(entry!.slot)),
    ]
    targets.takeOn(targetsVersion)
    table.probeSnapshot = snapshot.version
    await Promise.all(first)
  }
  const tick = (): void => {
    clock.refresh()
    stalled.tick(clock.nowMs)
    wheel.tick()
    targets.look()
  }
  const stop = (): void => {
    targets.stop()
    streams.dispose()
    transport.dispose()
  }
  return { clock, table, targets, credentials, tick, apply, stop }
}

function checked(
  slot: number,
  group: TargetGroupConfig,
  target: CurrentTarget,
  transport: Transport,
  streams: SocketTransport,
  credentials: CheckCredentials,
): CheckedTarget {
  const { healthCheck: check, slowStartMs } = group
  const { placed } = target
  const port = check.port === 0 ? placed.port : check.port
  const host = placed.host.includes(':') ? `[${placed.host}]` : placed.host
  const isOverTls = isCheckedOverTls(group)
  const alpn = checkAlpn(check)
  const header = check.proxyProtocol === 'off' ? undefined : ownProxyHeader(check.proxyProtocol)
  // Before TLS it goes ahead of the handshake.
  const preface = isOverTls ? undefined : header
  return {
    slot,
    config: check,
    slowStartMs,
    dialogue: () => checkDialogue(group, isOverTls, `${host}:${port}`, transport.clock),
    preface,
    dial: (probe) => {
      const { address } = target.placed
      if (address === '') {
        probe.unreachable()
        return
      }
      if (!isOverTls) {
        probe.attach(transport.dial(address, port, probe))
        return
      }
      const named = check.host === '' ? group.tls?.serverName || placed.host : serverName(check.host)
      const shown = credentials.of(placed.group, check.verify)
      const tls = { serverName: named, verify: check.verify, credentials: shown, alpn }
      probe.attach(streams.dialTls(address, port, tls, probe, header))
    },
  }
}

/** Whether the targets of a group are checked as they were, or the group is another one and nothing is known of them yet. */
function isCheckedAlike({ generation, config }: GroupEntry, before: GroupEntry | undefined): boolean {
  if (before === undefined || before.generation !== generation) return true
  const partsOf = ({ protocol, healthCheck, slowStartMs, tls, proxyProtocol, tolerate }: TargetGroupConfig) => {
    return [protocol, healthCheck, slowStartMs, tls, proxyProtocol, tolerate]
  }
  return isDeepStrictEqual(partsOf(config), partsOf(before.config))
}

function report(
  log: Logger,
  where: { readonly targetGroup: string; readonly target: string },
  state: number,
  reason: HealthReason,
  detail: string,
): void {
  if (state === CHECK_HEALTHY) log.info(where, 'target is healthy')
  else log.warn({ ...where, reason, ...(detail === '' ? {} : { detail }) }, 'target is unhealthy')
}
