import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { loadCore } from '../machine.js'
import { start, temporaryFolder } from '../processes.js'
import type { HttpLoadOptions, HttpRequest, LoadResult } from './load.js'

/** Drives HTTP/1.1 with wrk, one thread. Rejects when wrk could not do its work. */
export async function wrk(options: HttpLoadOptions): Promise<LoadResult> {
  const { port, connections, seconds, request } = options
  const script = request.bodyBytes > 0 ? ['-s', bodyScript(request)] : []
  const closing = request.closeEach ? { Connection: 'close' } : {}
  const header = Object.entries({ ...request.headers, ...closing }).flatMap(([name, value]) => [
    '-H',
    `${name}: ${value}`,
  ])
  const load = start({
    command: 'wrk',
    args: [
      ...['-t', '1', '-c', String(connections), '-d', `${seconds}s`, '--timeout', '10s'],
      ...script,
      ...header,
      `${request.secure ? 'https' : 'http'}://127.0.0.1:${port}${request.path}`,
    ],
    core: loadCore,
  })
  const deadline = setTimeout(() => void load.stop(), (seconds + 15) * 1000)
  const { code, stdout, stderr } = await load.ended
  clearTimeout(deadline)
  if (code !== 0) throw new Error(`wrk ended with ${code}: ${stderr.trim() || stdout.trim()}`)
  return parseWrk(stdout)
}

/** Reads what wrk prints at its end. */
export function parseWrk(text: string): LoadResult {
  const total = /^\s*(\d+) requests in ([\d.]+)(us|ms|s|m)/m.exec(text)
  if (total === null) throw new Error(`wrk printed no total: ${text.trim()}`)
  const failed = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(text)
  const other = /Non-2xx or 3xx responses: (\d+)/.exec(text)
  const bad = Number(other?.[1] ?? 0)
  const perSecond = { us: 1e-6, ms: 1e-3, s: 1, m: 60 }[total[3] as 'us' | 'ms' | 's' | 'm']
  return {
    requests: Number(total[1]) - bad,
    errors: bad + (failed?.slice(1).reduce((sum, count) => sum + Number(count), 0) ?? 0),
    seconds: Number(total[2]) * perSecond,
  }
}

const scripts = new Map<number, string>()

/** wrk takes a body only from a Lua script. */
function bodyScript(request: HttpRequest): string {
  let file = scripts.get(request.bodyBytes)
  if (file === undefined) {
    file = join(temporaryFolder(), 'body.lua')
    writeFileSync(file, `wrk.method = 'POST'\nwrk.body = string.rep('x', ${request.bodyBytes})\n`)
    scripts.set(request.bodyBytes, file)
  }
  return file
}
