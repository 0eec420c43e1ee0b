import { existsSync } from 'node:fs'
import { type IncomingMessage, request as plainRequest } from 'node:http'
import { request as secureRequest } from 'node:https'
import { createInterface } from 'node:readline'
import { text as textOf } from 'node:stream/consumers'
import { formatAddress, parseAdminListen, parseTargetAddress } from '../config/addresses.js'
import { loadConfig } from '../config/load.js'
import { CastorError } from '../core/errors.js'
import { printable, printableJson } from '../core/printable.js'
import { type EnvFileOptions, environmentOf } from './env-file.js'

export const DEFAULT_ADMIN = '127.0.0.1:9900'
/** As docs/OPERATIONS.md has it. */
const USUAL_SOCKET = '/run/castor/admin.sock'
const TIMEOUT_MS = 5_000

/** As long as anything that is followed may take. */
const LONG_TIMEOUT_MS = 2 * 60 * 60_000

/** The options by which a command finds the running process. */
export interface AdminClientOptions extends EnvFileOptions {
  readonly config?: string
  readonly admin?: string
  readonly token?: string
}

/** Where the admin API is, and what it asks for. */
export interface AdminClient {
  /** For people: `http://host:port`, without a slash at the end, or `unix:/path`. */
  readonly name: string
  /** What paths of the API are put behind; where a Unix socket is set, its host is only a word. */
  readonly origin: string
  readonly socketPath?: string
  readonly token: string
  /** Nobody said where the admin API is: this is where it is by default. */
  readonly isGuessed?: boolean
}

/** By `--admin`, else by the configuration, whose Unix socket comes before its TCP addresses, else at the default address. */
export function adminDoor(options: AdminClientOptions): AdminClient {
  const env = environmentOf(options)
  const config = options.config === undefined ? undefined : loadConfig(options.config, { readCertificates: false, env })
  // One of admin.tokens is somebody's own: none of them is taken that was not given.
  const token = options.token ?? (config?.admin.token || env.CASTOR_TOKEN) ?? ''
  if (options.admin !== undefined) return namedDoor(options.admin, token)
  if (config === undefined) return { ...namedDoor(DEFAULT_ADMIN, token), isGuessed: true }
  const { listen } = config.admin
  const chosen = listen.find((one) => 'path' in one) ?? listen.find((one) => 'port' in one && one.port !== 0)
  if (chosen === undefined) {
    throw new CastorError(
      'USAGE',
      `${options.config} lets the system choose the admin port; name it with --admin ADDRESS`,
    )
  }
  if ('path' in chosen) return unixDoor(chosen.path, token)
  // An address that stands for all of them is none to connect to.
  const { address, port } = chosen
  const host = address === '0.0.0.0' ? '127.0.0.1' : address === '::' ? '::1' : address
  return tcpDoor(`http://${formatAddress(host, port)}`, token)
}

function namedDoor(written: string, token: string): AdminClient {
  if (/^https?:\/\//.test(written)) {
    if (!URL.canParse(written)) throw new CastorError('USAGE', `--admin: ${JSON.stringify(written)} is not a URL`)
    return tcpDoor(written.replace(/\/+$/, ''), token)
  }
  if (written.startsWith('unix:')) {
    const parsed = parseAdminListen(written)
    if (!parsed.ok) throw new CastorError('USAGE', `--admin: ${parsed.problem}`)
    if ('path' in parsed.value) return unixDoor(parsed.value.path, token)
  }
  const parsed = parseTargetAddress(written)
  if (!parsed.ok) throw new CastorError('USAGE', `--admin: ${parsed.problem}`)
  return tcpDoor(`http://${formatAddress(parsed.value.host, parsed.value.port)}`, token)
}

const tcpDoor = (origin: string, token: string): AdminClient => ({ name: origin, origin, token })
const unixDoor = (socketPath: string, token: string): AdminClient => ({
  name: `unix:${socketPath}`,
  origin: 'http://localhost',
  socketPath,
  token,
})

/** Throws ADMIN_UNREACHABLE where nobody answers, or asks for a token that it was not given. */
export async function askAdmin(
  door: AdminClient,
  method: string,
  path: string,
  body?: unknown,
  timeoutMs = TIMEOUT_MS,
): Promise<{ code: number; text: string }> {
  const signal = AbortSignal.timeout(timeoutMs)
  const content = body === undefined ? '' : JSON.stringify(body)
  const headers = {
    ...(door.token === '' ? {} : { authorization: `Bearer ${door.token}` }),
    // Every change wants the type, also one without a body.
    ...(method === 'GET' ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(content) }),
  }
  const { socketPath } = door
  let code: number
  let text: string
  try {
    const response = await send(
      `${door.origin}${path}`,
      { method, headers, signal, ...(socketPath && { socketPath }) },
      content,
    )
    code = response.statusCode ?? 0
    // Reasons and names in it may come from Redis, targets or peers.
    text = printableJson(await textOf(response))
  } catch (cause) {
    const reason = signal.aborted ? `no answer within ${timeoutMs / 1000} s` : why(cause)
    const hint = door.isGuessed === true ? `\n${elsewhere()}` : ''
    throw new CastorError('ADMIN_UNREACHABLE', `castor does not answer at ${door.name}: ${reason}${hint}`, { cause })
  }
  if (code === 401) {
    const wanted = door.token === '' ? 'a token' : 'another token'
    throw new CastorError('ADMIN_UNREACHABLE', `${door.name} wants ${wanted}; give it with --token or CASTOR_TOKEN`)
  }
  if (code === 403) {
    const why = /"message":"([^"]*)"/.exec(text)?.[1] ?? 'it says not why'
    throw new CastorError('ADMIN_UNREACHABLE', `${door.name} refuses this: ${why}`)
  }
  return { code, text }
}

/** The lines of an answer that comes bit by bit. Throws ADMIN_UNREACHABLE, also where it is an error. */
export async function* streamAdmin(
  client: AdminClient,
  method: string,
  path: string,
  body: unknown,
): AsyncGenerator<string> {
  const content = JSON.stringify(body)
  const { socketPath, token } = client
  const headers = {
    ...(token === '' ? {} : { authorization: `Bearer ${token}` }),
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(content),
  }
  let response: IncomingMessage
  try {
    const signal = AbortSignal.timeout(LONG_TIMEOUT_MS)
    response = await send(
      `${client.origin}${path}`,
      { method, headers, signal, ...(socketPath && { socketPath }) },
      content,
    )
  } catch (cause) {
    throw new CastorError('ADMIN_UNREACHABLE', `castor does not answer at ${client.name}: ${why(cause)}`, { cause })
  }
  if (response.statusCode !== 200) {
    const text = printableJson(await textOf(response))
    const message = /"message":"((?:[^"\\]|\\.)*)"/.exec(text)?.[1] ?? text.slice(0, 200)
    throw new CastorError('ADMIN_UNREACHABLE', `${client.name} refuses this (${response.statusCode}): ${message}`)
  }
  try {
    for await (const line of createInterface(response)) yield printableJson(line)
  } catch (cause) {
    throw new CastorError('ADMIN_UNREACHABLE', `the answer of ${client.name} broke off: ${why(cause)}`, { cause })
  }
}

/** Not by `fetch`, which has a list of ports that it does not speak to. */
function send(
  url: string,
  options: {
    readonly method: string
    readonly headers: Record<string, string | number>
    readonly signal: AbortSignal
    readonly socketPath?: string
  },
  content: string,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const begin = url.startsWith('https:') ? secureRequest : plainRequest
    begin(url, { ...options, agent: false }, resolve)
      .on('error', reject)
      .end(content)
  })
}

/** Where else it may be, for whoever named neither file nor address. */
function elsewhere(): string {
  const socket = existsSync(USUAL_SOCKET) ? `; there is a socket here: --admin unix:${USUAL_SOCKET}` : ''
  return `where admin.listen says otherwise, such as a Unix socket, name the configuration with -c FILE, or the address with --admin ADDRESS${socket}`
}

function why(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const { code } = error as NodeJS.ErrnoException
  switch (code) {
    case 'ECONNREFUSED':
      return 'connection refused; is it running?'
    case 'ENOENT':
      return 'there is no such socket; is it running?'
    case 'EACCES':
      return 'this user may not open the socket; be the user that castor runs as, or root'
    default:
      return printable(error.message || String(code))
  }
}
