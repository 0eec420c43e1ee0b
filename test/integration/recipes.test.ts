import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { parse } from 'yaml'
import { parseConfig } from '../../src/config/load.js'
import { packageRoot } from '../meta/sources.js'
import { startBalancer } from './support/balancer.js'
import type { Test } from './support/castor.js'
import { ok, RawTarget } from './support/raw-target.js'
import { ask, authorityFor } from './support/tls.js'

/** A recipe of docs/RECIPES.md: a file, and what it answers. */
interface Recipe {
  readonly title: string
  readonly yaml: string
  readonly probes: readonly Probe[]
}

interface Probe {
  readonly request: string
  readonly answer: string
}

type Group = Record<string, unknown> & { readonly name: string; readonly targets: readonly Record<string, unknown>[] }
type Listener = Record<string, unknown> & { readonly name: string; readonly protocol: string; readonly tls?: object }

const page = readFileSync(join(packageRoot(), 'docs/RECIPES.md'), 'utf8')
const recipes = page
  .split(/^## /m)
  .slice(1)
  .map((part): Recipe => {
    const yaml = /```yaml\n([\s\S]*?)```/.exec(part)?.[1] ?? ''
    const rows = part.slice(part.indexOf('| --- |')).matchAll(/^\| (`.+?) \| (.+?) \|$/gm)
    const probes = part.includes('| --- |')
      ? [...rows].map(([, request, answer]) => ({ request: request!, answer: answer! }))
      : []
    return { title: part.slice(0, part.indexOf('\n')), yaml, probes }
  })

t.test('there are twenty recipes and more, each with a file', async (t) => {
  t.ok(recipes.length >= 20, `${recipes.length}`)
  for (const { title, yaml } of recipes) t.not(yaml, '', title)
})

for (const recipe of recipes) {
  t.test(recipe.title, async (t) => {
    const warnings: string[] = []
    const onWarning = ({ message }: { readonly message: string }) => warnings.push(message)
    parseConfig(recipe.yaml, 'recipe.yaml', { readCertificates: false, onWarning })
    t.same(warnings, [], 'as it stands')
    const { listeners, ask } = await start(t, recipe)
    t.ok(listeners > 0, 'it starts')
    for (const { request, answer } of recipe.probes) t.equal(await ask(request), answer, request)
  })
}

/** The recipe with addresses and certificates of this machine. */
async function start(t: Test, { yaml }: Recipe) {
  const file = parse(yaml) as { readonly listeners: readonly Listener[]; readonly targetGroups: readonly Group[] }
  const usesTls = file.listeners.some(({ tls }) => tls !== undefined)
  const authority = usesTls ? authorityFor(t) : undefined
  const issued = authority?.issue('site', { names: ['shop.example'] })
  const listeners = file.listeners.map((listener) => {
    const tls = listener.tls === undefined ? {} : { tls: replaced(listener.tls, issued!, authority!.cert) }
    return { ...listener, listen: '127.0.0.1:0', ...tls }
  })
  const targetGroups: Group[] = []
  for (const group of file.targetGroups) {
    const target = await RawTarget.start({ answer: (_asked, connection) => connection.write(ok(group.name)) })
    t.teardown(() => target.stop())
    // One stands for all: what is asked is where requests go, and a server that is listed twice is refused.
    const [first] = group.targets
    targetGroups.push({ ...group, targets: [{ ...first, address: target.address }], healthCheck: { protocol: 'off' } })
  }
  const balancer = await startBalancer(t, { workers: 1, ...file, listeners, targetGroups })
  return {
    listeners: balancer.running.listeners.length,
    ask: (request: string) => askOne(balancer, file.listeners, request),
  }
}

function replaced(tls: object, own: { readonly cert: string; readonly key: string }, ca: string): object {
  const clients =
    'clientCertificates' in tls ? { clientCertificates: { ...(tls.clientCertificates as object), ca } } : {}
  return { ...tls, certificates: [{ cert: own.cert, key: own.key }], ...clients }
}

/** As the table has it: `→ GROUP`, a status, or a status with a Location. */
async function askOne(
  balancer: { portOf(listener: string): number },
  listeners: readonly Listener[],
  request: string,
): Promise<string> {
  const [, method, url, field] = /^`(\S+) (\S+)`(?: with `(.+)`)?(?: on `\w+`)?$/.exec(request)!
  const { protocol, hostname, pathname, search } = new URL(url!)
  const named = / on `(\w+)`$/.exec(request)?.[1]
  const listener = listeners.find(({ name, protocol: spoken }) =>
    named === undefined ? `${spoken}:` === protocol : name === named,
  )!
  // Not what the URL parser makes of it: its dots and escapes are what some recipes are about.
  const path = url!.slice(url!.indexOf(hostname) + hostname.length) || pathname + search
  const [name, value] = field?.split(/: (.*)/s) ?? []
  const answer = await ask(balancer.portOf(listener.name), {
    plain: protocol === 'http:',
    method: method!,
    path,
    servername: hostname,
    headers: { host: hostname, ...(name === undefined ? {} : { [name]: value }) },
  })
  if (answer.headers.location !== undefined) return `${answer.status} \`${answer.headers.location}\``
  return answer.status === 200 && /^[a-z0-9]+$/.test(answer.text) ? `→ ${answer.text}` : String(answer.status)
}
