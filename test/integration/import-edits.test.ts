import t, { type Test } from 'tap'
import type { Source } from '../../src/import/translate.js'
import { toolOrSkip } from '../tools.js'

import { freePort, scratch, startImported, startOther, writeScratch } from './support/imported.js'
import { get, request } from './support/raw-client.js'
import { ok, RawTarget } from './support/raw-target.js'

/** Header edits and rewrites, beside the programs themselves: targets are asked the same, and clients get the same fields. */

/** Answers with what it was asked: target, Host, and the fields that a test names `x-…`. */
async function echo(t: Test): Promise<string> {
  const target = await RawTarget.start({
    answer: ({ target: asked, fields }, connection) => {
      const own = fields
        .map(([name, value]) => `${name.toLowerCase()}: ${value}`)
        // An empty variable is no field in Castor, and an empty field elsewhere.
        .filter((line) => /^x-(?!forwarded|request-id|real).*: ./.test(line))
        .sort()
      connection.write(ok(`${asked} ${own.join(' | ')}`, ['X-Secret: s', 'X-Kept: k', 'X-Old: o']))
    },
  })
  t.teardown(() => target.stop())
  return target.address
}

interface Seen {
  readonly status: number
  readonly body: string
  readonly fields: readonly string[]
}

async function seen(port: number, target: string, lines: readonly string[]): Promise<Seen> {
  const response = await request(port, get(target, [...lines, 'Connection: close']))
  const fields = response.fields
    .map(([name, value]) => `${name.toLowerCase()}: ${value}`)
    .filter((line) => /^x-(?!request-id)/.test(line))
  return { status: response.status, body: response.status === 200 ? response.text : '', fields: fields.sort() }
}

const PATHS = [
  '/',
  '/api',
  '/api/',
  '/api/x?a=b',
  '/api/x/y',
  '/apis',
  '/strip/a',
  '/add',
  '/add/x?q=1',
  '/whole/x?q=1',
  '/tenant/1',
]
const LINES = [[], ['X-Debug: 1', 'X-In: abc', 'X-Tier: forged'], ['X_Tier: forged', 'Cookie: lab=b']]

async function same(t: Test, theirs: number, ours: number): Promise<void> {
  for (const target of PATHS) {
    for (const lines of LINES) {
      const [other, own] = await Promise.all([seen(theirs, target, lines), seen(ours, target, lines)])
      t.same(own, other, `${target} ${lines.join(', ')}`)
    }
  }
}

async function translated(t: Test, text: string, source: Source, lost: readonly RegExp[] = []): Promise<number> {
  const { balancer, translation } = await startImported(t, text, source)
  const untranslated = translation.findings.filter(({ kind }) => kind === 'untranslated')
  t.match(
    untranslated.map(({ what, why }) => `${what}: ${why}`),
    lost,
    JSON.stringify(untranslated),
  )
  t.equal(untranslated.length, lost.length)
  return balancer.port
}

t.test('HAProxy: fields and paths change as they do there', async (t) => {
  const program = toolOrSkip(t, 'haproxy')
  if (program === undefined) return
  const [port, address] = [await freePort(), await echo(t)]
  const text = `defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
frontend web
    bind 127.0.0.1:${port}
    http-request set-header X-Tier gold
    http-request set-header X-From %[req.hdr(x-in)]
    http-request del-header X-Debug
    http-response set-header X-Old new
    http-response add-header X-Kept more
    http-response del-header X-Secret
    use_backend api if { path_beg /api/ }
    use_backend whole if { path_beg /whole/ }
    default_backend app
backend api
    http-request replace-path ^/api/(.*) /v2/\\1
    http-request add-header X-Path %[method]
    server s1 ${address}
backend whole
    http-request set-path /one
    http-request set-query q=2
    server s1 ${address}
backend app
    http-response set-header X-App yes
    server s1 ${address}
`
  await startOther(t, [program, '-db', '-f', writeScratch(scratch(t), 'edits.cfg', text)], port)
  const lines = text.replace(
    '    http-request del-header X-Debug\n',
    (line) =>
      `${line}    http-request set-header X-If 1 if { path / }\n    http-request lua.x\n    http-request set-path /y\n`,
  )
  const ours = await translated(t, lines, 'haproxy', [
    /set-header X-If.*condition/,
    /http-request lua/,
    /set-path \/y.*rules behind/,
  ])
  await same(t, port, ours)
})

t.test('nginx: fields and paths change as they do there', async (t) => {
  const program = toolOrSkip(t, 'nginx')
  if (program === undefined) return
  const [port, address, folder] = [await freePort(), await echo(t), scratch(t)]
  const server = `server {
    listen 127.0.0.1:${port};
    proxy_set_header Host $http_host;
    proxy_set_header X-Tier gold;
    proxy_set_header X-From $http_x_in;
    proxy_set_header X-Debug "";
    add_header X-Added yes always;
    proxy_hide_header X-Secret;
    location / { proxy_pass http://${address}; }
    location /api/ { proxy_pass http://${address}/v2/; }
    location /strip/ { proxy_pass http://${address}/; add_header X-Own $request_method always; }
    location = /add { proxy_pass http://${address}/exact; }
}
`
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${folder};`)
  const whole = `daemon off; master_process off; pid ${folder}/pid; error_log stderr;\nevents {}\nhttp { access_log off; absolute_redirect off; ${paths.join(' ')}\n${server}}\n`
  await startOther(t, [program, '-e', 'stderr', '-p', folder, '-c', writeScratch(folder, 'nginx.conf', whole)], port)
  await same(t, port, await translated(t, server, 'nginx'))
})

t.test('Caddy: fields and paths change as they do there', async (t) => {
  const program = toolOrSkip(t, 'caddy')
  if (program === undefined) return
  const [port, address, folder] = [await freePort(), await echo(t), scratch(t)]
  const site = `http://:${port} {
	header -X-Secret
	request_header -X-Debug
	request_header X-Tier gold
	handle_path /api/* {
		reverse_proxy ${address} {
			header_up X-From {header.X-In}
			header_down X-Old new
		}
	}
	handle /strip/* {
		uri strip_prefix /strip
		reverse_proxy ${address}
	}
	handle /whole/* {
		rewrite * /one?q=2
		reverse_proxy ${address}
	}
	handle {
		reverse_proxy ${address}
	}
}
`
  const run = [program, 'run', '--adapter', 'caddyfile', '--config']
  const file = writeScratch(folder, 'Caddyfile', `{\n\tadmin off\n\tauto_https off\n}\n${site}`)
  await startOther(t, ['env', `XDG_DATA_HOME=${folder}`, `XDG_CONFIG_HOME=${folder}`, ...run, file], port)
  await same(t, port, await translated(t, site, 'caddy'))
})

t.test('Traefik: middlewares change fields and paths as its documentation says', async (t) => {
  const address = await echo(t)
  const text = `http:
  routers:
    api: { rule: "PathPrefix(\`/api\`)", service: app, middlewares: [all] }
    add: { rule: "PathPrefix(\`/add\`)", service: app, middlewares: [prefix] }
    whole: { rule: "PathPrefix(\`/whole\`)", service: app, middlewares: [path, auth] }
  middlewares:
    all: { chain: { middlewares: [strip, fields] } }
    strip: { stripPrefix: { prefixes: [/api] } }
    prefix: { addPrefix: { prefix: /p } }
    path: { replacePath: { path: /one } }
    auth: { basicAuth: { users: [a] } }
    fields:
      headers:
        customRequestHeaders: { X-Tier: gold, X-Debug: "" }
        customResponseHeaders: { X-Old: new, X-Secret: "" }
  services:
    app: { loadBalancer: { servers: [{ url: "http://${address}" }] } }
`
  const port = await translated(t, text, 'traefik', [/nothing for basicAuth/])
  const kept = ['x-kept: k', 'x-old: o', 'x-secret: s']
  const edited = ['x-kept: k', 'x-old: new']
  for (const [path, lines, body, fields] of [
    ['/api', [], '/ x-tier: gold', edited],
    ['/api/x?a=b', ['X-Debug: 1', 'X-Tier: forged'], '/x?a=b x-tier: gold', edited],
    ['/apis', [], '/s x-tier: gold', edited],
    ['/add/x?q=1', ['X-In: 1'], '/p/add/x?q=1 x-in: 1', kept],
    ['/whole/x?q=1', [], '/one?q=1 ', kept],
  ] as const) {
    t.same(await seen(port, path, lines), { status: 200, body, fields }, path)
  }
})
