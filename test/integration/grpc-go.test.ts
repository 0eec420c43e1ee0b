import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import { toolOrSkip } from '../tools.js'
import { startTestCastor, type Test } from './support/castor.js'

/* grpc-go on both sides: it asks by PING for the time of a round trip with nearly every small message. */

const BUILD = fileURLToPath(new URL('../../../scripts/build-grpc-go.mjs', import.meta.url))
const SOURCES = '/usr/share/gocode/src/google.golang.org/grpc/server.go'
const run = promisify(execFile)

interface Outcome {
  readonly made: number
  readonly failed: readonly string[]
}

/** Starts a server that ends with the test, or with this process at the latest; its address. */
async function serve(t: Test, program: string): Promise<string> {
  const server = spawn(program, ['serve'], { stdio: ['pipe', 'pipe', 'inherit'] })
  const exited = once(server, 'exit')
  t.teardown(async () => {
    server.stdin.end()
    await exited
  })
  const [port] = await once(createInterface(server.stdout), 'line')
  return `127.0.0.1:${port}`
}

async function call(program: string, port: number): Promise<Readonly<Record<'unary' | 'streams', Outcome>>> {
  const { stdout } = await run(program, ['call', `127.0.0.1:${port}`])
  return JSON.parse(stdout)
}

t.test('grpc-go as client and server: not a call is lost', { timeout: 200_000 }, async (t) => {
  if (toolOrSkip(t, 'go') === undefined) return
  if (!existsSync(SOURCES)) {
    const reason = 'golang-google-grpc-dev is not installed'
    if (process.env.CI === 'true') t.fail(`${reason}, and CI must not skip this`)
    else t.plan(0, reason)
    return
  }
  const program = (await run(process.execPath, [BUILD])).stdout.trim()
  const address = await serve(t, program)
  // Few PINGs are allowed, beyond those that belong to the messages: as few as cut every busy connection once.
  const few = { maxPings: 100 }
  const settings = [
    ['as configured by default', { http2: true }, {}],
    ['with few PINGs beyond the messages', { http2: few }, { http2: few }],
  ] as const
  const cases = settings.map(async ([what, listener, http2]) => {
    const castor = await startTestCastor(t, [address], { listener, group: { protocol: 'h2c', ...http2 } })
    return { what, outcomes: await call(program, castor.port), log: castor.log }
  })
  for (const { what, outcomes, log } of await Promise.all(cases)) {
    const { unary, streams } = outcomes
    t.same(unary, { made: 2_000, failed: [] }, `${what}: calls in a row`)
    t.same(streams, { made: 20, failed: [] }, `${what}: streams at once`)
    t.notOk(log.join('').includes('HTTP/2 connection to a target failed'), `${what}: and no connection to the target`)
  }
})
