import { get } from 'node:http'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Started } from './processes.js'

/** Asks until the answer is 200. Rejects when the process ends or time is up, with what the process had to say. */
export async function waitForHttp(port: number, path: string, started: Started, withinMs: number): Promise<void> {
  await waitFor(() => answers200(port, path), `an answer 200 to ${path}`, started, withinMs)
}

/** Tries until a connection is accepted. Rejects like `waitForHttp`. */
export async function waitForTcp(port: number, started: Started, withinMs: number): Promise<void> {
  await waitFor(() => accepts(port), 'an accepted connection', started, withinMs)
}

async function waitFor(
  attempt: () => Promise<boolean>,
  what: string,
  started: Started,
  withinMs: number,
): Promise<void> {
  let ended = false
  void started.ended.then(() => (ended = true))
  const deadline = performance.now() + withinMs
  while (!(await attempt())) {
    if (ended) throw new Error(`it ended: ${started.complaint()}`)
    if (performance.now() > deadline) throw new Error(`no ${what} within ${withinMs} ms: ${started.complaint()}`)
    await sleep(25)
  }
}

function answers200(port: number, path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const request = get({ host: '127.0.0.1', port, path, agent: false, timeout: 1000 }, (answer) => {
      answer.resume()
      answer.once('end', () => resolve(answer.statusCode === 200))
      answer.once('error', () => resolve(false))
    })
    request.once('timeout', () => request.destroy())
    request.once('error', () => resolve(false))
  })
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port, timeout: 1000 }, () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('timeout', () => socket.destroy())
    socket.once('error', () => {})
    socket.once('close', () => resolve(false))
  })
}
