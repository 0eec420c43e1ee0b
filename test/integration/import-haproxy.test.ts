import { readFileSync } from 'node:fs'
import t from 'tap'
import { toolOrSkip } from '../tools.js'
import {
  type Asked,
  ask,
  fixture,
  freePort,
  sameAnswers,
  scratch,
  startImported,
  startOther,
  withTargets,
  writeScratch,
} from './support/imported.js'
import { ask as askTls, authorityFor } from './support/tls.js'

/** Translated files beside HAProxy itself: the same requests, the same answers. */

t.test('a shop’s frontend answers as HAProxy does', async (t) => {
  const program = toolOrSkip(t, 'haproxy')
  if (program === undefined) return
  const port = await freePort()
  const text = (await withTargets(t, fixture('haproxy-shop.cfg'))).replace('bind :80', `bind 127.0.0.1:${port}`)
  const single = text.replace(/^ {4}(daemon|log .*|maxconn .*)$/gm, '').replace(/^ {4}server app2 .*$/m, '')
  const { balancer, translation } = await startImported(t, single, 'haproxy')
  t.same(
    translation.findings.filter(({ kind }) => kind === 'untranslated'),
    [],
  )
  await startOther(t, [program, '-db', '-f', writeScratch(scratch(t), 'shop.cfg', single)], port)
  const paths = [
    '/',
    '/admin',
    '/admin/x',
    '/administrator',
    '/robots.txt',
    '/api',
    '/api/',
    '/api/v1',
    '/apis',
    '/a.png',
    '/static',
    '/static/x.css',
    '/api/closed',
    '/x/A.JPG?q=1',
    '/?q=1',
    '/search?q=',
    '/api/a.png?q=1',
  ]
  const hosts = ['other.example', 'shop.example', 'OLD.example', 'media.shop.example']
  const requests = hosts.flatMap((host) => paths.map((path): Asked => [path, host]))
  const beta = paths.map((path): Asked => [path, 'shop.example', ['X-Beta: 1']])
  const posted = paths.map((path): Asked => [path, 'www.shop.example', ['Content-Length: 0'], 'POST'])
  const both = paths.map((path): Asked => [path, 'www.shop.example', ['Content-Length: 0', 'x-beta: 1'], 'PUT'])
  await sameAnswers(t, [port, balancer.port], [...requests, ...beta, ...posted, ...both])
})

t.test('an edge with TLS, redirects and tcp answers as HAProxy does', async (t) => {
  const program = toolOrSkip(t, 'haproxy')
  if (program === undefined) return
  const authority = authorityFor(t)
  const folder = scratch(t)
  const { cert, key } = authority.issue('edge.example')
  const pem = writeScratch(folder, 'edge.pem', readFileSync(cert, 'utf8') + readFileSync(key, 'utf8'))
  const [port, tlsPort, tcpPort] = [await freePort(), await freePort(), await freePort()]
  const text = (await withTargets(t, fixture('haproxy-edge.cfg')))
    .replace('bind *:80', `bind 127.0.0.1:${port}`)
    .replace('bind *:443', `bind 127.0.0.1:${tlsPort}`)
    .replace('127.0.0.1:5432', `127.0.0.1:${tcpPort}`)
    .replace('/etc/haproxy/edge.pem', pem)
    .replace('/etc/ssl/internal.pem', authority.cert)
    .replace(/^ {4}(stats socket|server m[23]) .*$/gm, '')
    .replace('blog.internal:8443', '127.0.0.1:9')
    .replace('send-proxy-v2', '')
  const { balancer, translation } = await startImported(t, text, 'haproxy')
  t.match(
    translation.findings.filter(({ kind }) => kind === 'untranslated').map(({ line }) => line),
    [18, 20],
  )
  await startOther(t, [program, '-db', '-f', writeScratch(folder, 'edge.cfg', text)], port)
  const hosts = ['edge.example', 'blog.example', 'edge.example:8080']
  const requests = hosts.flatMap((host) => ['/', '/a/b?c=d'].map((path): Asked => [path, host]))
  await sameAnswers(
    t,
    [port, balancer.portOf('edge')],
    [...requests, ['/', 'edge.example', ['Content-Length: 0'], 'POST']],
  )
  const [theirs, ours] = await Promise.all(
    [tlsPort, balancer.portOf('edge-tls')].map((each) => askTls(each, { servername: 'edge.example' })),
  )
  t.same(ours!.text, theirs!.text)
  t.equal(ours!.server, 'edge.example')
  t.same(await ask(balancer.portOf('postgres'), ['/']), await ask(tcpPort, ['/']))
})
