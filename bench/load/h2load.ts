import { loadCore } from '../machine.js'
import { isInstalled, start } from '../processes.js'
import type { LoadResult } from './load.js'

export interface StreamsOptions {
  readonly port: number
  readonly connections: number
  /** Of each connection, open at once. */
  readonly streams: number
  readonly seconds: number
  readonly path: string
}

/** Drives HTTP/2 over TLS with h2load, one thread. Rejects where it is not installed or could not do its work. */
export async function h2load({ port, connections, streams, seconds, path }: StreamsOptions): Promise<LoadResult> {
  if (!isInstalled('h2load')) throw new Error('h2load is not installed (Debian: nghttp2-client)')
  const load = start({
    command: 'h2load',
    args: [
      ...['-t', '1', '-c', String(connections), '-m', String(streams), '-D', String(seconds)],
      `https://127.0.0.1:${port}${path}`,
    ],
    core: loadCore,
  })
  const deadline = setTimeout(() => void load.stop(), (seconds + 15) * 1000)
  const { code, stdout, stderr } = await load.ended
  clearTimeout(deadline)
  if (code !== 0) throw new Error(`h2load ended with ${code}: ${stderr.trim() || stdout.trim()}`)
  return { ...parseH2load(stdout), seconds }
}

/** Reads what h2load prints at its end; with HTTP/1.1 it measured something else. */
export function parseH2load(text: string): Omit<LoadResult, 'seconds'> {
  if (!/^Application protocol: h2$/m.test(text)) throw new Error(`h2load did not speak HTTP/2: ${text.trim()}`)
  const counts = /^requests: .* (\d+) failed, (\d+) errored, (\d+) timeout$/m.exec(text)
  const answers = /^status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx$/m.exec(text)
  if (counts === null || answers === null) throw new Error(`h2load printed no total: ${text.trim()}`)
  const [, requests = '0', ...others] = answers
  const errors = [...counts.slice(1), ...others].reduce((sum, count) => sum + Number(count), 0)
  return { requests: Number(requests), errors }
}
