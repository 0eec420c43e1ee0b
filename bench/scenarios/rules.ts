import { httpLoad, httpLoadLabel } from '../load/http.js'
import { SMALL_PATH } from '../origin/content.js'
import { SUBJECT } from '../proxies/all.js'
import { measureCpu } from '../rounds.js'
import type { Lane, Scenario } from './scenario.js'

const ONE_RULE = 'one rule'
const request = { path: SMALL_PATH, bodyBytes: 0, closeEach: false }

/** Rules of other hosts and paths, spread over a hundred hosts, and last the one that serves. */
function lane(name: string, rules: number): Lane {
  const others = Array.from({ length: rules - 1 }, (_, index) => ({
    match: { host: `h${index % 100}.example`, path: index % 2 === 0 ? `/p${index}/*` : `/p${index}` },
    forward: 'target',
  }))
  return { name, changes: { listener: { rules: [...others, { match: { path: SMALL_PATH }, forward: 'target' }] } } }
}

function scenario(rules: number, most: number): Scenario {
  return {
    name: `rules-${rules}`,
    title: `${rules.toLocaleString('en')} rules, × one rule`,
    unit: 'request',
    needs: ['http'],
    mode: 'http',
    origin: 'http',
    limit: { kind: 'ratio', most, against: ONE_RULE },
    lanes: [lane(SUBJECT, rules), lane(ONE_RULE, 1)],
    load: (settings) => httpLoadLabel(settings, request),
    run: (bench) => measureCpu(bench, httpLoad(bench.settings, request), ONE_RULE),
  }
}

const EDITS = {
  requestHeaders: { set: { 'x-tier': 'gold', 'x-client': '${client_ip}' }, remove: ['x-debug'] },
  responseHeaders: { set: { 'x-served-by': '${target}' }, remove: ['server'] },
}

function edited(name: string, edits: object): Lane {
  return { name, changes: { listener: { rules: [{ match: { path: SMALL_PATH }, forward: 'target', ...edits }] } } }
}

/** What a request costs more where its rule edits five header fields. */
const edits: Scenario = {
  name: 'header-edits',
  title: 'Five header fields edited, × none',
  unit: 'request',
  needs: ['http'],
  mode: 'http',
  origin: 'http',
  limit: { kind: 'ratio', most: 1.05, against: ONE_RULE },
  lanes: [edited(SUBJECT, EDITS), edited(ONE_RULE, {})],
  load: (settings) => httpLoadLabel(settings, request),
  run: (bench) => measureCpu(bench, httpLoad(bench.settings, request), ONE_RULE),
}

/** What a request costs more where a copy of it goes to a mirror, here the same origin once more. */
const mirror: Scenario = {
  name: 'mirror',
  title: 'Every request mirrored, × none',
  unit: 'request',
  needs: ['http'],
  mode: 'http',
  origin: 'http',
  limit: { kind: 'ratio', most: 1.6, against: ONE_RULE },
  lanes: [edited(SUBJECT, { mirror: 'target' }), edited(ONE_RULE, {})],
  load: (settings) => httpLoadLabel(settings, request),
  run: (bench) => measureCpu(bench, httpLoad(bench.settings, request), ONE_RULE),
}

/** What a request costs more where its listener has many rules, or its rule much to do. */
export const rulesScenarios: readonly Scenario[] = [scenario(1_000, 1.1), scenario(10_000, 1.2), edits, mirror]
