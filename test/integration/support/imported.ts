import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ConnectionOptions } from 'node:tls'
import { fileURLToPath } from 'node:url'
import { parse } from 'yaml'
import { type Source, type Translation, translate } from '../../../src/import/translate.js'
import { type Balancer, type ConfigFile, startBalancer } from './balancer.js'
import type { Test } from './castor.js'
import { request } from './raw-client.js'
import { ok, RawTarget } from './raw-target.js'
import { refusingAddress } from './tcp-peers.js'
import { ask as askTls } from './tls.js'
import { until } from './until.js'

const FIXTURES = fileURLToPath(new URL('../../../../test/fixtures/import/', import.meta.url))

export function fixture(name: string): string {
  return readFileSync(join(FIXTURES, name), 'utf8')
}

/** A folder that the test's end removes. */
export function scratch(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'castor-import-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** The text with every `10.x.y.z:port` replaced by a target on loopback, which answers with the address that it stands for. */
export async function withTargets(t: Test, text: string): Promise<string> {
  const addresses = [...new Set(text.match(/\b10\.\d+\.\d+\.\d+:\d+/g) ?? [])]
  let replaced = text
  for (const address of addresses) {
    const target = await RawTarget.start({ answer: (_asked, connection) => connection.write(ok(`${address}\n`)) })
    t.teardown(() => target.stop())
    replaced = replaced.replaceAll(address, target.address)
  }
  return replaced
}

export async function freePort(): Promise<number> {
  const address = await refusingAddress()
  return Number(address.slice(address.lastIndexOf(':') + 1))
}

/** Runs another program until the test ends; resolves once it accepts connections on the port. */
export async function startOther(t: Test, command: readonly string[], port: number): Promise<void> {
  const child: ChildProcess = spawn(command[0]!, command.slice(1), { stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  child.stdout?.on('data', (data) => (said += String(data)))
  child.stderr?.on('data', (data) => (said += String(data)))
  t.teardown(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'exit')
  })
  await until(`${command[0]} listening`, async () => {
    if (child.exitCode !== null) throw new Error(`${command[0]} ended: ${said}`)
    const socket = connect(port, '127.0.0.1')
    try {
      await once(socket, 'connect')
      return true
    } catch {
      return false
    } finally {
      socket.destroy()
    }
  })
}

export interface Imported {
  readonly balancer: Balancer
  readonly translation: Translation
}

/** A balancer from the translation, its listeners on free ports. */
export async function startImported(t: Test, text: string, source: Source): Promise<Imported> {
  const translation = translate(text, source, 'test')
  if (translation.yaml === undefined) throw new Error(JSON.stringify(translation.findings))
  const config = parse(translation.yaml) as { listeners: Record<string, unknown>[] }
  for (const listener of config.listeners) listener.listen = '127.0.0.1:0'
  const balancer = await startBalancer(t, { ...(config as unknown as ConfigFile), workers: 1 })
  return { balancer, translation }
}

export function writeScratch(folder: string, name: string, text: string): string {
  const file = join(folder, name)
  writeFileSync(file, text)
  return file
}

/** A request. */
export type Asked = readonly [target: string, host?: string, fields?: readonly string[], method?: string]

const AT_ONCE = 16

/** What it needs of a test. */
interface Same {
  same(found: unknown, wanted: unknown, message: string): unknown
}

/** What of an answer must be the same. */
export interface Said {
  readonly status: number
  readonly location: string | undefined
  readonly body: string
}

/** One request on a connection of its own; over TLS where `tls` is given. */
export async function ask(port: number, asked: Asked, tls?: ConnectionOptions): Promise<Said> {
  const [target, host = 'other.example', fields = [], method = 'GET'] = asked
  const answer = tls === undefined ? await plain() : await secure(port, asked, tls)
  const { status, location, text } = answer
  return {
    status,
    location:
      location === undefined
        ? undefined
        : new URL(location, `http${tls === undefined ? '' : 's'}://${host}${target}`).href,
    // Each program has its own pages for what it answers itself.
    body: status === 200 ? text.trim() : '',
  }

  async function plain() {
    const lines = [`Host: ${host}`, 'Connection: close', ...fields].map((line) => `${line}\r\n`).join('')
    const answer = await request(port, `${method} ${target} HTTP/1.1\r\n${lines}\r\n`)
    return { status: answer.status, location: answer.header('location'), text: answer.text }
  }
}

async function secure(port: number, [target, host = 'other.example', , method = 'GET']: Asked, tls: ConnectionOptions) {
  const { status, headers, text } = await askTls(port, { ...tls, path: target, method, headers: { host } })
  return { status, location: headers.location, text }
}

export async function sameAnswers(
  t: Same,
  [theirs, ours]: readonly [number, number],
  requests: readonly Asked[],
  tls?: ConnectionOptions,
): Promise<void> {
  for (let from = 0; from < requests.length; from += AT_ONCE) {
    await Promise.all(
      requests.slice(from, from + AT_ONCE).map(async (asked) => {
        const [own, other] = await Promise.all([ask(ours, asked, tls), ask(theirs, asked, tls)])
        t.same(own, other, JSON.stringify(asked))
      }),
    )
  }
}
