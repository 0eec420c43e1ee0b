import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Page } from 'playwright-core'
import t from 'tap'
import { type Admin, startAdmin } from '../../src/admin/server.js'
import { FakeFacts } from '../unit/admin/fake-facts.js'
import { chromiumFor, launchBrowser, openPage, type Teardown } from './browser.js'

/** Names that the browser takes for loopback, as a rebound name would be. */
const REBOUND = '--host-resolver-rules=MAP *.example 127.0.0.1'

/** Facts that count what operators do. */
function counted() {
  const facts = new FakeFacts()
  const changes: string[] = []
  const note = (what: string) => () => {
    changes.push(what)
    return 0
  }
  Object.assign(facts, {
    drainHost: note('drain-host'),
    setTargetState: note('state'),
    setTargetWeight: note('weight'),
    addTarget: note('add'),
    removeTarget: note('remove'),
  })
  return { facts, changes }
}

async function setting(t: Teardown): Promise<{ admin: Admin; changes: string[]; foreignPort: number }> {
  const { facts, changes } = counted()
  const admin = await startAdmin({ config: facts.config.admin, facts })
  t.teardown(() => admin.close())
  const foreign = createServer((_, response) =>
    response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><title>shop</title><p>hello'),
  ).listen(0, '127.0.0.1')
  await once(foreign, 'listening')
  t.teardown(() => {
    foreign.close()
    foreign.closeAllConnections()
  })
  return { admin, changes, foreignPort: (foreign.address() as AddressInfo).port }
}

const inPage = <T>(page: Page, script: string): Promise<T> => page.evaluate<T>(script)

/** Everything by which a page makes a browser send something to `admin`. */
const attacks = (admin: string): string => `(async () => {
  const drain = '${admin}/api/v1/drain-host'
  const target = '${admin}/api/v1/target-groups/app/targets/10.0.0.11%3A9001'
  const json = { 'content-type': 'application/json' }
  const send = (url, options) => fetch(url, options).then((r) => r.type + r.status, () => 'failed')
  const seen = await Promise.all([
    send(drain, { method: 'POST', mode: 'no-cors' }),
    send(drain, { method: 'POST', mode: 'no-cors', body: '{}', headers: { 'content-type': 'text/plain' } }),
    send(drain, { method: 'POST', mode: 'no-cors', body: new Blob(['{}'], { type: 'application/json' }) }),
    send(drain, { method: 'POST', headers: json, body: '{}' }),
    send(target + '?now=true', { method: 'DELETE', headers: json }),
    send(target, { method: 'PATCH', headers: json, body: '{"weight":0}' }),
    send('${admin}/api/v1/target-groups/app/targets', { method: 'POST', mode: 'no-cors', body: '{"address":"127.0.0.1:1"}' }),
  ])
  seen.push(String(navigator.sendBeacon(drain, new Blob(['{}'], { type: 'text/plain' }))))
  const frame = document.createElement('iframe')
  frame.name = 'sink'
  document.body.append(frame)
  for (const enctype of ['application/x-www-form-urlencoded', 'multipart/form-data', 'text/plain']) {
    const form = document.createElement('form')
    Object.assign(form, { method: 'post', action: drain, enctype, target: 'sink' })
    const field = document.createElement('input')
    field.name = '{"a":"'
    field.value = '"}'
    form.append(field)
    document.body.append(form)
    const answered = new Promise((resolve) => frame.addEventListener('load', resolve, { once: true }))
    form.submit()
    await answered
  }
  return seen
})()`

t.test('pages of other origins', async (t) => {
  const executablePath = chromiumFor(t)
  if (executablePath === undefined) return
  const { page } = await openPage(t, await launchBrowser(t, executablePath, [REBOUND]))
  const { admin, changes, foreignPort } = await setting(t)
  const own = `http://127.0.0.1:${admin.port}`

  await t.test('a page of another origin stops and changes nothing', async (t) => {
    const before = page.waitForRequest((request) => request.url().includes('/drain-host'))
    for (const from of [`http://shop.example:${foreignPort}/`, `http://127.0.0.1:${foreignPort}/`]) {
      await page.goto(from)
      const seen = await inPage<string[]>(page, attacks(own))
      t.notOk(
        seen.some((what) => /^(basic|cors)/.test(what)),
        `${from} reads no answer: ${seen.join(' ')}`,
      )
    }
    t.ok(await before, 'the attack was sent')
    t.same(changes, [])
  })

  await t.test('a page of another origin reads nothing and holds no event stream', async (t) => {
    await page.goto(`http://127.0.0.1:${foreignPort}/`)
    const read = await inPage<string[]>(
      page,
      `Promise.all([
        ...['/api/v1/status', '/metrics', '/api/v1/events'].map((path) =>
          fetch('${own}' + path).then((r) => r.text(), () => 'failed')),
        ...['script', 'img', 'iframe'].map((kind) => new Promise((resolve) => {
          const made = document.createElement(kind)
          made.onload = () => resolve(kind === 'iframe' && made.contentDocument === null ? 'failed' : 'loaded ' + kind)
          made.onerror = () => resolve('failed')
          made.src = '${own}/api/v1/status'
          document.body.append(made)
        })),
        new Promise((resolve) => {
          const source = new EventSource('${own}/api/v1/events')
          source.onmessage = () => resolve('an event')
          source.onerror = () => resolve('failed')
        }),
      ])`,
    )
    t.same(new Set(read), new Set(['failed']))
    const frames = await Promise.all(page.frames().map((frame) => frame.evaluate('document.body?.innerText ?? ""')))
    t.notMatch(frames.join(), /targetGroups/, 'nothing is framed')
  })

  await t.test('a name that is made to resolve to loopback opens nothing', async (t) => {
    await page.goto(`http://rebound.example:${admin.port}/`)
    const answers = await inPage<number[]>(
      page,
      `Promise.all([
        fetch('/api/v1/status').then((r) => r.status),
        fetch('/api/v1/drain-host', { method: 'POST', headers: { 'content-type': 'application/json' } }).then((r) => r.status),
      ])`,
    )
    t.same(answers, [403, 403])
    t.same(changes, [])
  })

  await t.test('the dashboard’s own origin may ask and change', async (t) => {
    await page.goto(`${own}/`)
    const answers = await inPage<number[]>(
      page,
      `Promise.all([
        fetch('/api/v1/status').then((r) => r.status),
        fetch('/api/v1/drain-host', { method: 'POST', headers: { 'content-type': 'application/json' } }).then((r) => r.status),
      ])`,
    )
    t.same(answers, [200, 202])
    t.same(changes, ['drain-host'])
  })
})
