import { Agent as HttpAgent, request as httpRequest } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import { parentPort, workerData } from 'node:worker_threads'
import { build } from 'hdr-histogram-js'
import type { ProbeOptions, ProbeResult } from './latency-probe.js'

const { url: text, perSecond } = workerData as ProbeOptions
const url = new URL(text)
const secure = url.protocol === 'https:'
const agent = secure
  ? new HttpsAgent({ keepAlive: true, maxSockets: 1, rejectUnauthorized: false })
  : new HttpAgent({ keepAlive: true, maxSockets: 1 })
const send = secure ? httpsRequest : httpRequest

const REQUEST_TIMEOUT_MS = 10_000
const histogram = build({
  lowestDiscernibleValue: 1,
  highestTrackableValue: 60_000_000,
  numberOfSignificantValueDigits: 3,
})
const periodMs = 1000 / perSecond
let errors = 0
let busy = false
/** When the request that had to wait for its predecessor should have gone out; 0 when none waits. */
let overdueMs = 0

/** Latency counts from the moment the request was due: one slow answer must not hide those that queued behind it. */
function probe(dueMs: number): void {
  busy = true
  let settled = false
  const settle = (ok: boolean): void => {
    if (settled) return
    settled = true
    busy = false
    if (ok) histogram.recordValue(Math.max(1, Math.round((performance.now() - dueMs) * 1000)))
    else errors++
    const next = overdueMs
    overdueMs = 0
    if (next > 0) probe(next)
  }
  const request = send(url, { agent, timeout: REQUEST_TIMEOUT_MS }, (response) => {
    response.on('end', () => settle(true))
    response.on('error', () => settle(false))
    response.resume()
  })
  request.on('timeout', () => request.destroy(new Error('no answer in time')))
  request.on('error', () => settle(false))
  request.end()
}

const timer = setInterval(() => {
  const now = performance.now()
  if (!busy) probe(now)
  else if (overdueMs === 0) overdueMs = now
}, periodMs)

parentPort?.once('message', () => {
  clearInterval(timer)
  const at = (percentile: number): number => histogram.getValueAtPercentile(percentile) / 1000
  const result: ProbeResult = {
    count: histogram.totalCount,
    errors,
    p50: at(50),
    p90: at(90),
    p99: at(99),
    p999: at(99.9),
    max: histogram.totalCount === 0 ? 0 : histogram.maxValue / 1000,
  }
  parentPort?.postMessage(result)
})
