import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { loadCore } from '../machine.js'
import { isInstalled, start, temporaryFolder } from '../processes.js'
import type { LoadResult } from './load.js'

export interface StreamsOptions {
  readonly port: number
  readonly connections: number
  /** Of each connection, open at once. */
  readonly streams: number
  readonly seconds: number
  readonly path: string
  /** Each request is a unary call with a message of 100 bytes. */
  readonly grpc?: boolean
}

/** Drives HTTP/2 over TLS with h2load, one thread. Rejects where it is not installed or could not do its work. */
export async function h2load({ port, connections, streams, seconds, path, grpc }: StreamsOptions): Promise<LoadResult> {
  if (!isInstalled('h2load')) throw new Error('h2load is not installed (Debian: nghttp2-client)')
  const load = start({
    command: 'h2load',
    args: [
      ...['-t', '1', '-c', String(connections), '-m', String(streams), '-D', String(seconds)],
      ...(grpc === true ? ['-d', messageFile(), '-H', 'content-type: application/grpc', '-H', 'te: trailers'] : []),
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

const MESSAGE_BYTES = 100
let message: string | undefined

/** One message as gRPC frames it: not compressed, its length in four bytes, itself. */
function messageFile(): string {
  if (message === undefined) {
    message = join(temporaryFolder(), 'message')
    const prefix = Buffer.alloc(5)
    prefix.writeUInt32BE(MESSAGE_BYTES, 1)
    writeFileSync(message, Buffer.concat([prefix, Buffer.alloc(MESSAGE_BYTES, 'x')]))
  }
  return message
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
