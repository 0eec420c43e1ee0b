import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text as textOf } from 'node:stream/consumers'

export interface WrkResult {
  readonly requests: number
  /** Lines of its own on errors of sockets and on answers beyond 3xx; empty where there were none. */
  readonly failed: readonly string[]
}

/** `wrk` on ten connections until it is stopped; undefined where it is not installed. */
export async function startWrk(port: number): Promise<{ stop(): Promise<WrkResult> } | undefined> {
  const args = ['-t', '1', '-c', '10', '-d', '3600s', '--timeout', '30s', `http://127.0.0.1:${port}/`]
  const child = spawn('wrk', args, { stdio: ['ignore', 'pipe', 'inherit'] })
  const output = textOf(child.stdout)
  const ended = once(child, 'exit')
  ended.catch(() => {})
  const isThere = await once(child, 'spawn').then(
    () => true,
    () => false,
  )
  if (!isThere) return undefined
  return {
    async stop() {
      // It says what it has measured so far.
      child.kill('SIGINT')
      await ended
      const lines = (await output).split('\n').map((line) => line.trim())
      const requests = Number(/(\d+) requests in/.exec(lines.join('\n'))?.[1] ?? 0)
      return {
        requests,
        failed: lines.filter((line) => /^(Socket errors|Non-2xx)/.test(line)).map((line) => `wrk: ${line}`),
      }
    },
  }
}
