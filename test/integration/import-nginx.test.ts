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

/** Translated files beside nginx itself: the same requests, the same answers. */

/** As a program of a test: in the foreground, with its files in the folder, and without its port in redirects. */
function runnable(text: string, folder: string): string {
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${folder};`)
  const settings = `access_log off; absolute_redirect off; ${paths.join(' ')}`
  const whole = text.includes('http {') ? text : `events {}\nhttp {\n${text}\n}`
  const inFront = `daemon off; master_process off; pid ${folder}/pid; error_log stderr;\n${whole}`
  return inFront.replace(/^user .*$/m, '').replace('http {', `http { ${settings}`)
}

t.test('a shop’s servers and locations answer as nginx does', async (t) => {
  const program = toolOrSkip(t, 'nginx')
  if (program === undefined) return
  const folder = scratch(t)
  const port = await freePort()
  const text = (await withTargets(t, fixture('nginx-shop.conf'))).replaceAll('listen 80', `listen 127.0.0.1:${port}`)
  const { balancer, translation } = await startImported(t, text, 'nginx')
  t.same(
    translation.findings.filter(({ kind }) => kind === 'untranslated'),
    [],
  )
  const file = writeScratch(folder, 'nginx.conf', runnable(text, folder))
  await startOther(t, [program, '-e', 'stderr', '-p', folder, '-c', file], port)
  const paths = [
    '/',
    '/health',
    '/health/',
    '/api',
    '/api/',
    '/api/a.png',
    '/apis',
    '/v1/x',
    '/v',
    '/media',
    '/media/a.txt',
    '/media/a.png',
    '/x/B.JPG',
    '/old/x',
    '/old/x.png',
    '/oldx',
    '/admin',
    '/admin/',
    '/admin/a.png',
    '/gone',
    '/goner',
    '/private',
    '/private/x',
    '/a%2fb',
    '/x/../api/',
  ]
  const hosts = [
    'shop.example',
    'www.shop.example',
    'unknown.example',
    'a.img.example',
    'img.example',
    'img.test',
    'old.example',
    'BETA.shop.example',
  ]
  const requests = hosts.flatMap((host) => paths.map((path): Asked => [path, host]))
  // In $uri nginx undoes escapes and dots; Castor's redirects have the path as it came.
  const beta = paths.slice(0, -2).map((path): Asked => [`${path}?a=b`, 'beta.shop.example', ['X-Beta: 1']])
  const post = paths.map((path): Asked => [path, 'beta.shop.example', ['Content-Length: 0'], 'POST'])
  await sameAnswers(t, [port, balancer.port], [...requests, ...beta, ...post])
})

t.test('a site of certbot’s redirects as nginx does, and says what has no equal', async (t) => {
  const program = toolOrSkip(t, 'nginx')
  if (program === undefined) return
  const folder = scratch(t)
  const [port, tlsPort] = [await freePort(), await freePort()]
  const { cert, key } = authorityFor(t).issue('site.example')
  const text = (await withTargets(t, fixture('nginx-site.conf')))
    .replace('listen 80', `listen 127.0.0.1:${port}`)
    .replace('listen [::]:80;', '')
    .replace('listen 443', `listen 127.0.0.1:${tlsPort}`)
    .replace(/\/etc\S*fullchain.pem/, cert)
    .replace(/\/etc\S*privkey.pem/, key)
    .replace(/include .*$/m, '')
  const { balancer, translation } = await startImported(t, text, 'nginx')
  t.same(
    translation.findings.filter(({ kind }) => kind === 'untranslated').map(({ line }) => line),
    [4, 22, 26],
  )
  const file = writeScratch(folder, 'nginx.conf', runnable(text, folder))
  await startOther(t, [program, '-e', 'stderr', '-p', folder, '-c', file], port)
  const requests = ['site.example', 'else.example'].flatMap((host) =>
    ['/', '/a?b=c', '/app'].map((path): Asked => [path, host]),
  )
  await sameAnswers(t, [port, balancer.portOf(`http-${port}`)], requests)
  const secure = ['/', '/ws', '/wsx', '/app'].map((path): Asked => [path, 'site.example'])
  await sameAnswers(t, [tlsPort, balancer.portOf(`https-${tlsPort}`)], secure, { servername: 'site.example' })
})
