import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type BrowserContext, chromium, type Page } from 'playwright-core'
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

/** A browser with a profile of its own, both gone with the test; `problems` gathers what its console and pages complain of. */
export async function openBrowser(
  t: Teardown,
  executablePath: string,
  options: Parameters<typeof chromium.launchPersistentContext>[1] = {},
): Promise<{ context: BrowserContext; page: Page; problems: string[] }> {
  const profile = mkdtempSync(join(tmpdir(), 'castor-browser-'))
  const context = await chromium.launchPersistentContext(profile, {
    executablePath,
    headless: true,
    ...options,
    args: [...FLAGS, ...(options.args ?? [])],
  })
  t.teardown(async () => {
    await context.close()
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 })
  })
  context.setDefaultTimeout(WAIT_MS)
  const page = context.pages()[0] ?? (await context.newPage())
  const problems: string[] = []
  page.on('pageerror', (error) => problems.push(error.message))
  page.on('console', (message) => {
    if (message.type() === 'error') problems.push(message.text())
  })
  return { context, page, problems }
}
