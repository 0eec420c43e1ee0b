import t from 'tap'
import { toolOrSkip } from '../tools.js'
import {
  type Asked,
  fixture,
  freePort,
  sameAnswers,
  scratch,
  startImported,
  startOther,
  withTargets,
  writeScratch,
} from './support/imported.js'
import { authorityFor } from './support/tls.js'

/** Translated files beside Caddy itself: the same requests, the same answers. */

/** Caddy keeps what it writes in the folder. */
function caddy(program: string, folder: string, file: string): readonly string[] {
  const run = [program, 'run', '--adapter', 'caddyfile', '--config', file]
  return ['env', `XDG_DATA_HOME=${folder}`, `XDG_CONFIG_HOME=${folder}`, ...run]
}

t.test('the sites of a shop answer as Caddy does', async (t) => {
  const program = toolOrSkip(t, 'caddy')
  if (program === undefined) return
  const folder = scratch(t)
  const port = await freePort()
  const text = (await withTargets(t, fixture('caddy-shop.caddyfile'))).replace(/^http:.*$/gm, (line) =>
    line.replaceAll('.example', `.example:${port}`),
  )
  const { balancer, translation } = await startImported(t, text, 'caddy')
  t.same(translation.findings, [])
  const file = writeScratch(folder, 'Caddyfile', `{\n  admin off\n  auto_https off\n}\n${text}`)
  await startOther(t, caddy(program, folder, file), port)
  const paths = [
    '/',
    '/old',
    '/old/',
    '/health',
    '/api',
    '/api/',
    '/api/x',
    '/private',
    '/private/x',
    '/app',
    '/apple',
    '/app/x?y=z',
  ]
  const hosts = ['shop.example', 'www.shop.example', 'admin.example', 'other.example']
  const plain = hosts.flatMap((host) => paths.map((path): Asked => [path, host]))
  const beta = paths.map((path): Asked => [path, 'shop.example', ['X-Beta: 1']])
  const post = paths.map((path): Asked => [path, 'www.shop.example', ['Content-Length: 0'], 'POST'])
  await sameAnswers(t, [port, balancer.port], [...plain, ...beta, ...post])
})

t.test('a site with TLS answers as Caddy does, and what has no equal is said', async (t) => {
  const program = toolOrSkip(t, 'caddy')
  if (program === undefined) return
  const folder = scratch(t)
  const port = await freePort()
  const { cert, key } = authorityFor(t).issue('site.example')
  const text = (await withTargets(t, fixture('caddy-site.caddyfile')))
    .replace('site.example {', `site.example:${port} {`)
    .replace('/etc/caddy/site.pem', cert)
    .replace('/etc/caddy/site.key', key)
    .replace('https://127', 'http://127')
    .replace('email ops@site.example', 'admin off\n\tauto_https disable_redirects')
  const { balancer, translation } = await startImported(t, text, 'caddy')
  t.match(
    translation.findings.map(({ what }) => what),
    ['admin off', 'auto_https disable_redirects', 'encode gzip', 'root * /srv/www', 'file_server'],
  )
  await startOther(t, caddy(program, folder, writeScratch(folder, 'Caddyfile', text)), port)
  const requests = ['/api/', '/api/x'].map((path): Asked => [path, 'site.example'])
  await sameAnswers(t, [port, balancer.port], requests, { servername: 'site.example' })
})
