import { type Browser, type BrowserContext, type BrowserContextOptions, chromium, type Page } from 'playwright-core'
import { toolOrSkip } from '../tools.js'

const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]
const WAIT_MS = 20_000

export interface Teardown {
  teardown(end: () => unknown): unknown
}

/** Chromium's file, or undefined where there is none and the test was skipped. */
export function chromiumFor(t: Parameters<typeof toolOrSkip>[0]): string | undefined {
  return process.env.CASTOR_CHROMIUM ?? toolOrSkip(t, 'chromium')
}

/** A browser for all tests of a file, which each open a context of their own in it; it is gone with the test. */
export async function launchBrowser(
  t: Teardown,
  executablePath: string,
  args: readonly string[] = [],
): Promise<Browser> {
  const browser = await chromium.launch({ executablePath, headless: true, args: [...FLAGS, ...args] })
  t.teardown(() => browser.close())
  return browser
}

/** A context as a browser has it that was never used; `problems` gathers what its console and pages complain of. */
export async function openPage(
  t: Teardown,
  browser: Browser,
  options: BrowserContextOptions = {},
): Promise<{ context: BrowserContext; page: Page; problems: string[] }> {
  const context = await browser.newContext(options)
  t.teardown(() => context.close())
  context.setDefaultTimeout(WAIT_MS)
  const page = await context.newPage()
  const problems: string[] = []
  page.on('pageerror', (error) => problems.push(error.message))
  page.on('console', (message) => {
    if (message.type() === 'error') problems.push(message.text())
  })
  return { context, page, problems }
}
