import { hostname } from 'node:os'
import t from 'tap'
import { describeMachine } from '../../../bench/machine.js'
import { renderMarkdown, replaceBetweenMarkers } from '../../../bench/report/readme.js'
import type { CpuRound, ProxyResult, Report } from '../../../bench/report/result.js'
import { renderSvg } from '../../../bench/report/svg.js'
import { renderTable } from '../../../bench/report/table.js'

function cpu(proxy: string, cpuUs: number, ratio?: number): ProxyResult {
  const round: CpuRound = {
    cpuUs,
    userUs: cpuUs / 2,
    systemUs: cpuUs / 2,
    requests: 1000,
    requestsPerSecond: 500,
    errors: 0,
    foreign: 0.5,
  }
  const figures = { kind: 'cpu' as const, ...round, rounds: [round] }
  return { proxy, figures: ratio === undefined ? figures : { ...figures, ratio, ratioRange: [ratio, ratio] } }
}

const latency = {
  kind: 'latency',
  p50: 210,
  p99: 580,
  p999: 1200,
  max: 3000,
  samples: 9,
  errors: 0,
  requestsPerSecond: 1,
} as const

const report: Report = {
  format: 1,
  id: 'abcdef',
  date: '2030-01-02T03:04:05.000Z',
  tookSeconds: 60,
  machine: { cpu: 'CPU <9000> & more', cores: 2, memoryGiB: 4, kernel: 'Linux 6.1', virtual: true },
  pinned: true,
  rounds: 5,
  seconds: 2,
  connections: 64,
  versions: { Castor: '1.2.3', HAProxy: '2.6', node: '20.20.2' },
  titles: { castor: 'Castor', haproxy: 'HAProxy', caddy: 'Caddy', direct: 'no proxy' },
  scenarios: [
    {
      name: 'http-keepalive',
      title: 'HTTP keep-alive',
      unit: 'request',
      load: 'wrk',
      origin: 'nginx',
      limit: 1.2,
      proxies: [
        cpu('castor', 16.1, 1.01),
        cpu('haproxy', 15.9),
        { proxy: 'caddy', figures: { kind: 'failed', message: 'it ended' } },
      ],
      judgement: { verdict: 'pass', text: '1.01× of haproxy, at most 1.2×' },
    },
    {
      name: 'latency',
      title: 'Latency',
      unit: 'request',
      load: 'own',
      origin: 'nginx',
      proxies: ['castor', 'haproxy', 'direct'].map((proxy) => ({ proxy, figures: latency })),
    },
    {
      name: 'alloc',
      title: 'Growth',
      unit: 'request',
      load: 'wrk',
      origin: 'nginx',
      proxies: [
        { proxy: 'castor', figures: { kind: 'growth', beforeBytes: 2 ** 21, afterBytes: 2 ** 20, count: 800_000 } },
      ],
    },
  ],
}

t.test('the table shows figures, ratios, verdicts, failures and noise', (t) => {
  const table = renderTable(report)
  for (const part of [
    '16.1 (1.01×)',
    '15.9',
    'PASS',
    'caddy failed: it ended',
    '0.21 / 0.58 / 1.20',
    '−1.0 MiB',
    '50 %',
  ]) {
    t.ok(table.includes(part), part)
  }
  t.end()
})

t.test('the markdown has as many cells in every row', (t) => {
  const rows = renderMarkdown(report)
    .split('\n')
    .filter((line) => line.startsWith('|'))
  t.equal(rows.length, 2 + report.scenarios.length)
  t.equal(new Set(rows.map((row) => row.split('|').length)).size, 1)
  t.match(rows[2], /\*\*16\.1 \(1\.01×\)\*\*.*1\.2×: met/)
  t.end()
})

t.test('the README keeps everything outside the markers', (t) => {
  const readme = 'above\n<!-- bench:begin -->\nold\n<!-- bench:end -->\nbelow\n'
  const once = replaceBetweenMarkers(readme, 'new')
  t.equal(once, 'above\n<!-- bench:begin -->\nnew\n<!-- bench:end -->\nbelow\n')
  t.equal(replaceBetweenMarkers(once, 'new'), once)
  t.throws(() => replaceBetweenMarkers('no markers', 'new'), { message: /markers/ })
  t.throws(() => replaceBetweenMarkers('<!-- bench:end --><!-- bench:begin -->', 'new'), { message: /markers/ })
  t.end()
})

t.test('the picture is well-formed, escaped and without holes in its numbers', (t) => {
  const svg = renderSvg(report)
  const open: string[] = []
  for (const [tag, closing, name, selfClosing] of svg.matchAll(/<(\/?)([a-z]+)[^>]*?(\/?)>/g)) {
    if (closing === '/') t.equal(open.pop(), name, tag)
    else if (selfClosing === '') open.push(name!)
  }
  t.same(open, [])
  t.ok(svg.includes('CPU &lt;9000&gt; &amp; more'))
  t.notMatch(svg, /NaN|undefined|Infinity/)
  t.equal(svg.match(/class="limit"/g)?.length, 1, 'one limit is drawn')
  t.notOk(svg.includes('Growth'), 'growth is no bar')
  t.end()
})

t.test('the machine is described without its name', (t) => {
  const text = JSON.stringify(describeMachine())
  if (hostname().length > 3) t.notOk(text.includes(hostname()))
  t.match(text, /"cores":[1-9]/)
  t.end()
})
