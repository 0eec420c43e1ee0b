import type { Page } from 'playwright-core'
import t from 'tap'
import { type Admin, startAdmin } from '../../src/admin/server.js'
import { CHECK_UNHEALTHY, HEALTH_REASONS } from '../../src/core/target-state.js'
import { SEED, seededRandom } from '../random.js'
import { CLUSTER, FakeFacts, SECRET } from '../unit/admin/fake-facts.js'
import { tlsFacts } from '../unit/admin/tls-facts.js'
import { chromiumFor, launchBrowser, openPage, type Teardown } from './browser.js'

/** A host of a cluster, with TLS, and a group whose targets have a limit. */
function fullHouse(): FakeFacts {
  const facts = tlsFacts()
  const app = facts.config.targetGroups[0]!
  const limited = { ...app, maxConnectionsPerTarget: 4, queue: { size: 10, timeoutMs: 1_000 } }
  ;(facts.config.targetGroups as unknown[])[0] = limited
  return Object.assign(facts, { cluster: CLUSTER })
}

/** An admin server over numbers that move ten times a second once `moving` is called. */
async function start(t: Teardown, facts: FakeFacts): Promise<{ admin: Admin; url: string; move: () => void }> {
  const admin = await startAdmin({ config: facts.config.admin, facts })
  const random = seededRandom(SEED)
  let timer: NodeJS.Timeout | undefined
  t.teardown(async () => {
    clearInterval(timer)
    await admin.close()
  })
  const move = (): void => {
    timer = setInterval(() => facts.traffic(40, random), 100)
  }
  return { admin, url: `http://127.0.0.1:${admin.port}/`, move }
}

/** Runs in the page; the tests have no types of a browser. */
const inPage = <T>(page: Page, script: string): Promise<T> => page.evaluate<T>(script)

t.test('the dashboard', async (t) => {
  const executablePath = chromiumFor(t)
  if (executablePath === undefined) return
  const browser = await launchBrowser(t, executablePath)

  await t.test('a newcomer sees what to try, and then its traffic', async (t) => {
    const { page, problems } = await openPage(t, browser)
    const { url, move } = await start(t, new FakeFacts())
    const foreign: string[] = []
    page.on('request', (request) => {
      if (!request.url().startsWith(url)) foreign.push(request.url())
    })
    await page.goto(url)
    await page.getByText('No traffic yet').waitFor()
    t.equal(await page.locator('.command code').textContent(), 'curl -i http://127.0.0.1:8080/')
    const header = page.locator('header')
    for (const text of ['lb-a', '0.1.0', '1h 02m', 'healthy']) t.ok(await header.getByText(text).isVisible(), text)

    move()
    await page.getByText('No traffic yet').waitFor({ state: 'detached' })
    const requests = page.getByRole('img', { name: /^Requests per second, last five minutes: requests now [1-9]\d+/ })
    await requests.waitFor()
    t.equal(await requests.locator('canvas').count(), 1)
    await page.getByRole('img', { name: /^Traffic per second.*out now [\d.]+ [KM]iB/ }).waitFor()
    await page.getByRole('img', { name: /^Connections.*open now [1-9]/ }).waitFor()

    const web = page.getByRole('region', { name: 'Listeners' }).first().getByRole('row', { name: /^web/ })
    t.match(await web.textContent(), /0\.0\.0\.0:8080, \[::\]:8080app/)
    const target = page.getByRole('row', { name: /10\.0\.0\.11:9001/ })
    await target.getByText('40%').waitFor()
    t.match(await target.textContent(), /activeunchecked10/)
    t.match(await target.textContent(), /\d ms.*\d ms$/)
    t.match(await page.getByRole('row', { name: /proxy 2/ }).textContent(), /running.* ms/)
    t.same(foreign, [], 'nothing is loaded from elsewhere')
    t.same(problems, [], 'the content policy and the console are content')
  })

  await t.test('when the connection breaks it says so, tries again, and goes on', async (t) => {
    const { page } = await openPage(t, browser)
    const facts = new FakeFacts()
    const { admin, url, move } = await start(t, facts)
    move()
    await page.goto(url)
    await page.locator('header').getByText('healthy').waitFor()
    await admin.close()
    await page.getByText('Connection lost, retrying').waitFor()
    await page.locator('header').getByText('no connection').waitFor()
    t.ok(await page.getByRole('row', { name: /10\.0\.0\.11:9001/ }).isVisible(), 'the last numbers stay')
    const listen = [{ address: admin.address, port: admin.port }]
    const again = await startAdmin({ config: { listen, token: '', tokens: [], hosts: [] }, facts })
    t.teardown(() => again.close())
    await page.getByText('Connection lost, retrying').waitFor({ state: 'detached' })
    await page.locator('header').getByText('healthy').waitFor()
  })

  await t.test('it asks for the token, keeps it for the tab only, and never shows a wrong one in', async (t) => {
    const { context, page } = await openPage(t, browser)
    const { url } = await start(t, new FakeFacts({ token: SECRET }))
    await page.goto(url)
    const input = page.getByLabel('Token')
    await input.fill('wrong')
    await page.getByRole('button').click()
    await page.getByRole('alert').getByText('not accepted').waitFor()
    await page.getByLabel('Token').fill(SECRET)
    await page.getByRole('button').click()
    await page.locator('header').getByText('healthy').waitFor()
    await page.reload()
    await page.locator('header').getByText('healthy').waitFor()
    t.equal(await inPage(page, 'localStorage.length + document.cookie.length'), 0)
    const other = await context.newPage()
    await other.goto(url)
    await other.getByLabel('Token').waitFor()
  })

  await t.test('what is wrong is said in words', async (t) => {
    const { page } = await openPage(t, browser)
    const facts = new FakeFacts()
    facts.workers = [{ id: 1, state: 'restarting', stuck: 0, restarts: 3 }]
    facts.reason(1, 0, 'CONNECT_FAILED', 12)
    const { url } = await start(t, facts)
    await page.goto(url)
    await page.locator('header').getByText('degraded').waitFor()
    await page.getByText('worker 1 is restarting').waitFor()
    t.match(await page.getByRole('row', { name: /^web/ }).textContent(), /CONNECT_FAILED 12/)
    facts.state = 'draining'
    await page.locator('header').getByText('draining').waitFor()
  })

  await t.test('certificates, hosts and queues have their place, where there are any', async (t) => {
    const { page, problems } = await openPage(t, browser)
    const { url } = await start(t, fullHouse())
    await page.goto(url)
    const certificates = page.getByRole('region', { name: 'TLS' }).first()
    t.match(await certificates.getByRole('row', { name: /shop\.example/ }).textContent(), /ECDSA.*UNKNOWN_CA 4/)
    await certificates.getByText('expired').first().waitFor()
    const hosts = page.getByRole('region', { name: /Cluster shop/ }).first()
    await hosts.getByText('Redis is there').waitFor()
    await hosts.getByText('2 hosts alive').waitFor()
    t.match(await hosts.getByRole('row', { name: /lb-b/ }).textContent(), /alive0\.1\.0.*4\.00 ms/)
    await page.getByText('0 of 10 places in the queue taken').waitFor()
    t.match(await page.getByRole('row', { name: /10\.0\.0\.11:9001/ }).textContent(), /0 of 4/)
    const alone = await openPage(t, browser)
    await alone.page.goto((await start(t, new FakeFacts())).url)
    await alone.page.getByRole('row', { name: /10\.0\.0\.11:9001/ }).waitFor()
    t.equal(await alone.page.getByRole('region', { name: /TLS|Cluster/ }).count(), 0)
    t.same(problems, [])
  })

  await t.test('at the width of a phone only the tables scroll sideways', async (t) => {
    const { page } = await openPage(t, browser, { viewport: { width: 360, height: 740 } })
    const { url, move } = await start(t, fullHouse())
    move()
    await page.goto(url)
    await page.getByRole('row', { name: /10\.0\.0\.11:9001/ }).waitFor()
    t.equal(await inPage(page, 'document.documentElement.scrollWidth'), 360)
    t.ok(await inPage(page, 'document.querySelector(".scroll").tabIndex === 0'), 'tables are reached by keyboard')
    await page.emulateMedia({ reducedMotion: 'reduce' })
    t.equal(await inPage(page, 'document.getAnimations().length'), 0, 'and nothing moves for who wants that')
  })

  for (const width of [1440, 360]) {
    await t.test(`the reason of a failing target is whole, and beside nothing else, at ${width} pixels`, async (t) => {
      const { page } = await openPage(t, browser, { viewport: { width, height: 900 } })
      const facts = fullHouse()
      facts.table.setCheck(0, CHECK_UNHEALTHY, HEALTH_REASONS.indexOf('RECEIVE_RESPONSE_TIMEOUT'), Date.now())
      const { url } = await start(t, facts)
      await page.goto(url)
      const reason = page.locator('.targets .reason', { hasText: 'RECEIVE_RESPONSE_TIMEOUT' })
      await reason.waitFor()
      await reason.scrollIntoViewIfNeeded()
      if (process.env.CASTOR_SCREENSHOTS) {
        await page.screenshot({ path: `${process.env.CASTOR_SCREENSHOTS}/targets-${width}.png`, fullPage: true })
      }
      const fit = await inPage(
        page,
        `(() => {
          const element = [...document.querySelectorAll('.targets .reason')].find((e) => e.textContent !== '')
          const cell = element.closest('td')
          const state = cell.querySelector('.dot').getBoundingClientRect()
          const { top, right } = element.getBoundingClientRect()
          const cut = cell.scrollWidth > cell.clientWidth || right > cell.getBoundingClientRect().right
          return { cut, below: top >= state.bottom - 1 }
        })()`,
      )
      t.same(fit, { cut: false, below: true })
    })
  }

  for (const colorScheme of ['light', 'dark'] as const) {
    await t.test(`in ${colorScheme} colours every text stands out from its ground`, async (t) => {
      const { page } = await openPage(t, browser, { colorScheme })
      const facts = fullHouse()
      facts.reason(1, 0, 'CONNECT_FAILED', 12)
      facts.traffic(300, seededRandom(SEED))
      const { url } = await start(t, facts)
      await page.goto(url)
      await page.getByRole('row', { name: /10\.0\.0\.11:9001/ }).waitFor()
      const weak = await inPage<string[]>(page, WEAK_TEXTS)
      t.same(weak, [])
    })
  }
})

/** Texts whose contrast is below 4.5 : 1 (WCAG 2.2, 1.4.3), with the ratio. */
const WEAK_TEXTS = `(() => {
  const parse = (color) => (color.match(/[\\d.]+/g) ?? []).map(Number)
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    return 0.2126 * x + 0.7152 * y + 0.0722 * z
  }
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = parse(getComputedStyle(at).backgroundColor)
      if (color.length === 3 || color[3] === 1) return color
    }
    return [255, 255, 255]
  }
  const weak = []
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  let texts = 0
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement
    if (!walker.currentNode.data.trim() || !element.checkVisibility() || element.closest('script')) continue
    texts++
    const [a, b] = [light(parse(getComputedStyle(element).color)), light(ground(element))]
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)
    if (ratio < 4.5) weak.push(walker.currentNode.data.trim() + ' ' + ratio.toFixed(2))
  }
  return texts > 50 ? weak : ['only ' + texts + ' texts']
})()`
