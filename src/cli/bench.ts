import { request as httpRequest } from 'node:http'
import { request as httpsRequest } from 'node:https'
import type autocannon from 'autocannon'
import { type Command, InvalidArgumentError } from 'commander'
import { CastorError } from '../core/errors.js'
import { EXIT, type ExitCode } from './exit-code.js'
import { LatencyProbe, type ProbeResult } from './latency-probe.js'
import { Progress } from './progress.js'
import { count, milliseconds, type Palette, paletteFor, table } from './table.js'

interface BenchOptions {
  readonly url: string
  readonly connections: number
  readonly duration: number
}

const PROBE_PER_SECOND = 50
const FIRST_ANSWER_MS = 10_000

export function addBench(program: Command): void {
  program
    .command('bench')
    .summary('put load on a URL and measure')
    .description(
      'Sends requests as fast as they are answered and prints what came back, with the latency beside the load.',
    )
    .option('--url <url>', 'what to ask for', urlOption, 'http://127.0.0.1:8080/')
    .option('-c, --connections <number>', 'connections at once', wholeNumber(1, 100_000), 64)
    .option('-d, --duration <seconds>', 'how long', wholeNumber(1, 86_400), 10)
    .addHelpText(
      'after',
      `
The load comes from one thread of this process and costs more CPU than a proxy
does: it finds failures and rough numbers, not limits. Exits 0 also when some
requests failed (the table says so), 1 when nothing could connect.

Examples:
  castor bench
  castor bench --url http://lb-a:8080/health -c 256 -d 30`,
    )
    .action(async (options: BenchOptions) => {
      process.exitCode = await bench(options)
    })
}

function urlOption(value: string): string {
  const url = URL.canParse(value) ? new URL(value) : undefined
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return value
  throw new InvalidArgumentError('Write a URL like http://127.0.0.1:8080/.')
}

function wholeNumber(min: number, max: number) {
  return (value: string): number => {
    const number = /^\d+$/.test(value) ? Number(value) : Number.NaN
    if (number >= min && number <= max) return number
    throw new InvalidArgumentError(`Write a whole number from ${min} to ${max}.`)
  }
}

async function bench(options: BenchOptions): Promise<ExitCode> {
  await firstAnswer(options.url)
  const probe = new LatencyProbe({ url: options.url, perSecond: PROBE_PER_SECOND })
  const result = await load(options)
  const beside = await probe.finish()
  if (result.requests.total === 0) {
    throw new CastorError('CONNECT_FAILED', `${options.url} answered none of the requests (${result.errors} errors)`)
  }
  process.stdout.write(benchReport(options, result, beside, paletteFor(process.stdout)))
  return EXIT.ok
}

/** One request before the load: a wrong address should be said at once, in words. Any status is an answer. */
function firstAnswer(url: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (cause: NodeJS.ErrnoException): void => {
      const why = cause.code === 'ECONNREFUSED' ? 'connection refused; is anything listening there?' : cause.message
      reject(new CastorError('CONNECT_FAILED', `cannot reach ${url}: ${why}`, { cause }))
    }
    const send = url.startsWith('https:') ? httpsRequest : httpRequest
    const request = send(url, { agent: false, timeout: FIRST_ANSWER_MS, rejectUnauthorized: false }, (response) => {
      // The head is enough; the body may be endless.
      request.off('error', fail)
      request.on('error', () => {})
      response.on('error', () => {})
      response.destroy()
      resolve()
    })
    request.on('timeout', () => request.destroy(new Error(`no answer within ${FIRST_ANSWER_MS / 1000} s`)))
    request.on('error', fail)
    request.end()
  })
}

async function load(options: BenchOptions): Promise<autocannon.Result> {
  // Loaded only here: it is the largest dependency and no other command needs it.
  const { default: cannon } = await import('autocannon')
  const progress = new Progress(process.stderr)
  let elapsedSeconds = 0
  let stop: () => void = () => {}
  try {
    return await new Promise<autocannon.Result>((resolve, reject) => {
      const { url, connections, duration } = options
      const instance = cannon({ url, connections, duration }, (error: unknown, result) => {
        if (error) reject(error)
        else resolve(result)
      })
      stop = () => instance.stop()
      process.once('SIGINT', stop)
      process.once('SIGTERM', stop)
      // The type of the event leaves out what it carries.
      const events: NodeJS.EventEmitter = instance
      events.on('tick', ({ counter }: { readonly counter: number }) => {
        elapsedSeconds++
        // One more comes while the last answers are gathered.
        if (elapsedSeconds > duration) return
        progress.show({ elapsedSeconds, totalSeconds: duration, requests: counter })
      })
    })
  } finally {
    progress.done()
    process.off('SIGINT', stop)
    process.off('SIGTERM', stop)
  }
}

/** What a run gave, as a person reads it. Autocannon knows whole milliseconds only, so the probe stands beside it. */
export function benchReport(
  options: BenchOptions,
  result: autocannon.Result,
  beside: ProbeResult,
  palette: Palette,
): string {
  const seconds = result.duration
  const mebibytes = result.throughput.total / seconds / 1_048_576
  const classes = (['1xx', '2xx', '3xx', '4xx', '5xx'] as const)
    .filter((name) => result[name] > 0)
    .map((name) => {
      const paint = name === '5xx' ? palette.bad : name === '4xx' ? palette.warn : palette.good
      return `${name} ${paint(count(result[name]))}`
    })
  const failures = result.errors - result.timeouts
  const errors = `${count(failures)} connection errors, ${count(result.timeouts)} time-outs`
  const whole = (value: number): string => `${Math.round(value)} ms`
  const { latency } = result
  const latencies = [
    ['latency under load', ...[latency.p50, latency.p90, latency.p99, latency.p99_9, latency.max].map(whole)],
    beside.count > 0
      ? ['latency beside the load', ...[beside.p50, beside.p90, beside.p99, beside.p999, beside.max].map(milliseconds)]
      : ['latency beside the load', '–', '–', '–', '–', '–'],
  ]
  const columns = [
    { title: '' },
    ...['P50', 'P90', 'P99', 'P99.9', 'MAX'].map((title) => ({ title, align: 'right' as const })),
  ]
  const totals = [
    ['requests/s', palette.bold(count(result.requests.total / seconds))],
    ['MiB/s', mebibytes.toFixed(1)],
    ['requests', count(result.requests.total)],
    ['status', classes.join('  ') || 'none'],
    ['errors', result.errors > 0 ? palette.bad(errors) : errors],
  ]
  const head = `${palette.bold(options.url)}  ${options.connections} connections  ${seconds} s`
  return `${head}\n\n${pairs(totals)}\n\n${table(columns, latencies, palette)}\n`
}

function pairs(rows: readonly (readonly string[])[]): string {
  return rows.map(([name, value]) => `${name!.padEnd(12)}${value}`).join('\n')
}
