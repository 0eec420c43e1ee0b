import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { packageRoot } from '../../src/cli/package-files.js'
import { ChildCastor, MAIN } from '../integration/support/child-castor.js'
import { until } from '../integration/support/until.js'
import { chromiumFor, launchBrowser, openPage } from './browser.js'

/** What the README says to type. */
const LINE = /^socket = new WebSocket\('ws:\/\/localhost:8080\/'\).*$/m.exec(
  readFileSync(join(packageRoot(), 'README.md'), 'utf8'),
)![0]

t.test('the README’s WebSocket line shows an echo in the console of the demo’s own pages', async (t) => {
  const executablePath = chromiumFor(t)
  if (executablePath === undefined) return
  const sets = ['listeners.0.listen=127.0.0.1:0', 'admin.listen=127.0.0.1:0', 'workers=1']
  const castor = new ChildCastor([MAIN, 'start', '--demo', ...sets.flatMap((set) => ['--set', set])])
  t.teardown(() => castor.kill())
  const { page } = await openPage(t, await launchBrowser(t, executablePath))
  await castor.ready()
  const said: string[] = []
  page.on('console', (message) => said.push(message.text()))
  const port = castor.port('web')
  for (const url of [`http://127.0.0.1:${castor.adminPort}/`, `http://127.0.0.1:${port}/`]) {
    said.length = 0
    await page.goto(url)
    await page.evaluate(`void (() => { ${LINE.replace('8080', String(port))} })()`)
    await until('a greeting and an echo', () => said.includes('hello'), 10_000)
    t.match(said.join('\n'), /^you are connected to target \w+; what you send comes back\nhello$/m, url)
  }
})
