import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

/** Debian keeps servers where the PATH of ordinary users does not look. */
const MORE_FOLDERS = ['/usr/local/sbin', '/usr/sbin', '/sbin']

const OTHER_NAMES: Readonly<Record<string, readonly string[]>> = {
  chromium: ['chromium-browser', 'google-chrome'],
  testssl: ['testssl.sh'],
}

/** What the helper needs of a tap test. */
interface TestCase {
  plan(count: number, reason?: string): void
  fail(message: string): unknown
}

/** The path of a program, or undefined where it is not installed. */
export function findTool(name: string): string | undefined {
  const folders = [...(process.env.PATH ?? '').split(delimiter), ...MORE_FOLDERS]
  for (const command of [name, ...(OTHER_NAMES[name] ?? [])]) {
    for (const folder of folders) {
      const file = join(folder, command)
      try {
        accessSync(file, constants.X_OK)
        return file
      } catch {}
    }
  }
  return undefined
}

/**
 * The path of a program that the test cannot do without. Where it is not installed the test counts as skipped, and under
 * CI=true as failed, so that CI never passes by leaving something out; the answer is undefined then, and the test returns:
 *
 *     const nginx = toolOrSkip(t, 'nginx')
 *     if (nginx === undefined) return
 */
export function toolOrSkip(t: TestCase, name: string): string | undefined {
  const file = findTool(name)
  if (file !== undefined) return file
  const reason = `${name} is not installed`
  if (process.env.CI === 'true') t.fail(`${reason}, and CI must not skip this`)
  else t.plan(0, reason)
  return undefined
}
