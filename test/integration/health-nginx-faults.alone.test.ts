import t, { type Test as TapTest } from 'tap'
import { findTool, toolOrSkip } from '../tools.js'
import { startBalancer } from './support/balancer.js'
import { fetchText, type Test } from './support/castor.js'
import { type NetworkNamespace, newNamespace } from './support/namespace.js'
import { newNginx } from './support/nginx.js'
import { type BreakableNginx, breakableNginxes, type Fault } from './support/nginx-faults.js'
import type { ShownTarget } from './support/operator.js'
import { ok, RawTarget } from './support/raw-target.js'
import { type SteadyLoad, steadyLoad } from './support/steady-load.js'
import { until } from './support/until.js'

const INTERVAL_MS = 1_000
const THRESHOLD = 2
/** No request later than this after the fault began. */
const OUT_MS = 2_600
/** In service again within this after the fault ended. */
const BACK_MS = THRESHOLD * INTERVAL_MS + 600
const ROUNDS = 2
const CLIENTS = 3
const CONSECUTIVE_FAILURES = 5
const SLOW_MS = 3_000

const CHECK = {
  protocol: 'http',
  interval: `${INTERVAL_MS}ms`,
  timeout: '500ms',
  healthyThreshold: THRESHOLD,
  unhealthyThreshold: THRESHOLD,
  codes: '200',
}

/** How a group finds out: by its checks alone, or with all that castor does unasked. */
const GROUPS = [
  { kind: 'checks alone', more: { outlierDetection: 'off', retries: 'off' } },
  {
    kind: 'everything on',
    more: {
      outlierDetection: { consecutiveFailures: CONSECUTIVE_FAILURES },
      retries: { attempts: 1, budgetPercent: 20 },
    },
  },
] as const

interface Reading {
  readonly atMs: number
  readonly target: ShownTarget
}

/** One fault of one target, as one group saw it; times are from the beginning or end of the fault. */
interface Course {
  readonly fault: string
  readonly kind: string
  readonly reason: string | null
  readonly lastRequestMs: number
  readonly backMs: number
  /** Requests that failed, and by when the last of them had begun, counted from the fault. */
  readonly failed: number
  readonly lastFailedMs: number
  /** Where they failed after the target was in service again. */
  readonly failedLater: readonly string[]
}

t.test('real targets that fail are left out in time, and are back in time', async (t) => {
  const program = toolOrSkip(t, 'nginx')
  if (program === undefined) return
  const namespace = possibleNamespace(t)
  const slow = await RawTarget.start({
    answer: (_, connection) => void setTimeout(() => connection.write(ok('late')), SLOW_MS),
  })
  t.teardown(() => slow.stop())
  const sound = await newNginx(t, program)
  await sound.start('keepalive_requests 1000000; location / { return 200 "ok"; }')
  const breakable = await breakableNginxes(t, program, slow.address, namespace.made)
  const pairs = breakable.flatMap((each) => GROUPS.map((group) => ({ ...each, ...group })))
  const castor = await startBalancer(t, {
    workers: 2,
    listeners: pairs.map((_, i) => ({
      name: `in-${i}`,
      protocol: 'http',
      listen: '127.0.0.1:0',
      targetGroup: `group-${i}`,
    })),
    targetGroups: pairs.map(({ nginx, more }, i) => ({
      name: `group-${i}`,
      protocol: 'http',
      healthCheck: CHECK,
      timeouts: { connect: '1s', response: '1s' },
      targets: [
        { id: 'sound', address: sound.address },
        { id: 'broken', address: nginx.address },
      ],
      ...more,
    })),
  })
  const readings = watch(t, castor.running.admin.port, pairs.length)
  const loads = pairs.map((_, i) => steadyLoad(t, castor.portOf(`in-${i}`), CLIENTS, 20))
  await until('traffic at every target', () => readings.every((seen) => (seen.at(-1)?.target.requests ?? 0) > 10))
  const courses: Course[] = []
  for (let round = 0; round < ROUNDS; round++) {
    const byFault = breakable.map(async (each, i) => {
      // The faults begin at different points of the checks' rhythm.
      await pause((i * INTERVAL_MS) / breakable.length)
      const own = GROUPS.map((_, g) => i * GROUPS.length + g)
      courses.push(
        ...(await runCourse(
          each,
          own.map((n) => readings[n]!),
          own.map((n) => loads[n]!),
        )),
      )
    })
    await Promise.all(byFault)
  }
  for (const load of loads) await load.stop()
  for (const { fault } of breakable) {
    t.test(`a target that ${fault.name}`, async (t) => {
      for (const course of courses.filter((each) => each.fault === fault.name)) report(t, course, fault)
    })
  }
  t.test('the firewall was tried too', { skip: namespace.reason ?? false }, async (t) => {
    t.ok(namespace.made)
  })
})

function report(t: TapTest, course: Course, { reasons, seenByTraffic }: Fault): void {
  const { kind, reason, lastRequestMs, backMs, failed, lastFailedMs, failedLater } = course
  t.comment(
    `${kind}: last request ${ms(lastRequestMs)} after the fault (${reason}), back ${ms(backMs)} after its end, ` +
      `${failed} requests failed`,
  )
  t.ok(reasons.includes(reason ?? ''), `called ${reason}`)
  t.ok(lastRequestMs <= OUT_MS, `${kind}: no request later than ${ms(lastRequestMs)}`)
  t.ok(lastFailedMs <= OUT_MS, `${kind}: none failed that began later than ${ms(lastFailedMs)}`)
  t.ok(backMs <= BACK_MS, `${kind}: back after ${ms(backMs)}`)
  t.same(failedLater, [], `${kind}: nothing fails once it is back`)
  // By checks alone whatever began before they had noticed may fail; traffic notices sooner, where it can.
  if (kind === 'checks alone' || !seenByTraffic) return
  t.ok(failed <= CONSECUTIVE_FAILURES + CLIENTS, `${kind}: ${failed} failed`)
}

/** Breaks the target, mends it once every group that has it has left it out for a while, and says what was seen. */
async function runCourse(
  { fault }: BreakableNginx,
  readings: readonly (readonly Reading[])[],
  loads: readonly SteadyLoad[],
): Promise<Course[]> {
  const failedBefore = loads.map(({ failed }) => failed.length)
  const beganMs = performance.now()
  await fault.begin()
  await until(
    `the checks saying that it ${fault.name}`,
    // Where traffic spoke against it first it is called ejected; the checks give a reason all the same.
    () => readings.every((seen) => seen.at(-1)!.target.reason !== null && seen.at(-1)!.atMs > beganMs),
    10_000,
  )
  await until('long enough to see whether it is left alone', () => performance.now() > beganMs + OUT_MS + 400)
  const out = readings.map((seen) => seen.at(-1)!)
  const lastRequestsMs = readings.map((seen) => lastRequestMs(seen))
  const endedMs = performance.now()
  await fault.end()
  const back = await Promise.all(
    readings.map((seen, i) =>
      until(
        `back in service: ${fault.name}`,
        () => seen.find(({ atMs, target }) => atMs > endedMs && target.requests > out[i]!.target.requests),
        10_000,
      ),
    ),
  )
  const backMs = back.map(({ atMs }) => atMs - endedMs)
  // What fails now would be the fault of taking it back too early.
  await pause(300)
  return loads.map(({ failed }, i) => {
    const during = failed.slice(failedBefore[i])
    const soon = during.filter(({ begunMs }) => begunMs < endedMs)
    return {
      fault: fault.name,
      kind: GROUPS[i]!.kind,
      reason: out[i]!.target.reason,
      lastRequestMs: lastRequestsMs[i]! - beganMs,
      backMs: backMs[i]!,
      failed: soon.length,
      lastFailedMs: Math.max(0, ...soon.map(({ begunMs }) => begunMs - beganMs)),
      failedLater: during.filter(({ begunMs }) => begunMs >= endedMs).map(({ what }) => what),
    }
  })
}

/** When the target's count of requests was first seen as it is now. */
function lastRequestMs(seen: readonly Reading[]): number {
  const { requests } = seen.at(-1)!.target
  return seen.find(({ target }) => target.requests === requests)!.atMs
}

/** Looks at the broken target of every group again and again. */
function watch(t: Test, adminPort: number, groups: number): Reading[][] {
  const readings: Reading[][] = Array.from({ length: groups }, () => [])
  let stopping = false
  const run = async (): Promise<void> => {
    while (!stopping) {
      const status = JSON.parse(await fetchText(adminPort, '/api/v1/status')) as {
        targetGroups: { name: string; targets: ShownTarget[] }[]
      }
      const atMs = performance.now()
      for (const { name, targets } of status.targetGroups) {
        readings[Number(name.slice('group-'.length))]!.push({
          atMs,
          target: targets.find(({ id }) => id === 'broken')!,
        })
      }
      await pause(20)
    }
  }
  const ended = run()
  t.teardown(() => {
    stopping = true
    return ended
  })
  return readings
}

function possibleNamespace(t: Test): { readonly made?: NetworkNamespace; readonly reason?: string } {
  const [ip, iptables] = [findTool('ip'), findTool('iptables')]
  if (ip === undefined) return { reason: 'ip is not installed' }
  if (iptables === undefined) return { reason: 'iptables is not installed' }
  if (process.getuid?.() !== 0) return { reason: 'a network namespace needs root' }
  try {
    return { made: newNamespace(t, { ip, iptables }) }
  } catch (error) {
    return { reason: `no network namespace: ${error instanceof Error ? error.message : String(error)}` }
  }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
const ms = (value: number): string => `${Math.round(value)} ms`
