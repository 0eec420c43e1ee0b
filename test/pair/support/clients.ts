// Runs on a host of its own: clients who ask and count. Orders come as lines of JSON on standard input, answers go out the
// same way. Nobody tries a request twice.
import { Agent, get } from 'node:http'
import { createInterface } from 'node:readline'

const TIMEOUT_MS = 10_000
const EVERY_MS = 20

interface Series {
  sent: number
  failed: number
  lastMs: number
  gapMs: number
  readonly errors: Record<string, number>
}

/** One request; the target's answer. */
function ask(address: string, localAddress: string | undefined, agent: Agent | false): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { host: address, port: 80, agent, timeout: TIMEOUT_MS, ...(localAddress ? { localAddress } : {}) }
    const request = get(options, (response) => {
      let body = ''
      response.setEncoding('utf8').on('data', (text) => (body += text))
      response.on('end', () =>
        response.statusCode === 200 ? resolve(body) : reject(new Error(`${response.statusCode}`)),
      )
      response.on('error', reject)
    })
    request.on('timeout', () => request.destroy(new Error('TIMEOUT')))
    request.on('error', reject)
  })
}

const running = new Map<string, { stop: boolean; done: Promise<unknown>; series: Series }>()

/** Asks an address again and again: on new connections at a steady pace, or on a kept one as fast as answers come. */
function begin(name: string, address: string, keepAlive: boolean): void {
  const series: Series = { sent: 0, failed: 0, lastMs: performance.now(), gapMs: 0, errors: {} }
  const state = { stop: false, done: Promise.resolve() as Promise<unknown>, series }
  const agent = keepAlive ? new Agent({ keepAlive: true, maxSockets: 1 }) : false
  const one = async (): Promise<void> => {
    series.sent++
    try {
      await ask(address, undefined, agent)
      const nowMs = performance.now()
      series.gapMs = Math.max(series.gapMs, nowMs - series.lastMs)
      series.lastMs = nowMs
    } catch (error) {
      series.failed++
      const why = (error as NodeJS.ErrnoException).code ?? (error as Error).message
      series.errors[why] = (series.errors[why] ?? 0) + 1
    }
  }
  const open: Promise<void>[] = []
  const loop = async (): Promise<void> => {
    while (!state.stop) {
      const pause = new Promise((resolve) => setTimeout(resolve, EVERY_MS))
      if (keepAlive) await one()
      else open.push(one())
      await pause
    }
    await Promise.all(open)
    if (agent) agent.destroy()
  }
  state.done = loop()
  running.set(name, state)
}

createInterface(process.stdin).on('line', async (line) => {
  const order = JSON.parse(line)
  const answer = (data: unknown): void => void process.stdout.write(`${JSON.stringify({ id: order.id, data })}\n`)
  switch (order.do) {
    case 'begin':
      begin(order.name, order.address, order.keepAlive)
      answer(true)
      return
    case 'end': {
      const state = running.get(order.name)!
      state.stop = true
      await state.done
      running.delete(order.name)
      answer(state.series)
      return
    }
    case 'bound': {
      const asked = (order.sources as string[]).map((source) =>
        ask(order.address, source, false).catch((error: Error) => `failed: ${error.message}`),
      )
      answer(await Promise.all(asked))
      return
    }
  }
})
process.stdout.write(`${JSON.stringify({ id: 0, data: 'ready' })}\n`)
