import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, connect, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findTool } from '../tools.js'

/** Another server, which stands before two origins: one for what comes through Castor, one for what comes straight. */
export interface Neighbour {
  readonly behindCastorPort: number
  readonly straightPort: number
  stop(): Promise<void>
}

export type NeighbourName = 'nginx' | 'haproxy'

interface Ports {
  readonly behind: number
  readonly straight: number
  readonly behindOrigin: number
  readonly straightOrigin: number
}

/** The header by which an origin tells whose request it is: written by whoever the client talks to. */
export const PORT_HEADER = 'x-forwarded-client-port'

function nginxConfig(folder: string, ports: Ports): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${folder}/${name};`)
    .join('\n  ')
  // As lenient as it can be made: what it lets through is what others could get wrong.
  return `daemon off;
master_process off;
error_log stderr crit;
pid ${folder}/nginx.pid;
events { worker_connections 1024; }
http {
  access_log off;
  ${temporary}
  client_header_buffer_size 64k;
  large_client_header_buffers 4 64k;
  client_max_body_size 0;
  keepalive_requests 1000000;
  underscores_in_headers on;
  ignore_invalid_headers off;
  merge_slashes off;
  proxy_http_version 1.1;
  proxy_set_header Connection "";
  proxy_set_header Host $http_host;
  upstream behind { server 127.0.0.1:${ports.behindOrigin}; keepalive 32; }
  upstream straight { server 127.0.0.1:${ports.straightOrigin}; keepalive 32; }
  server { listen 127.0.0.1:${ports.behind}; location / { proxy_pass http://behind; } }
  server {
    listen 127.0.0.1:${ports.straight};
    location / {
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-Client-Port $remote_port;
      proxy_pass http://straight;
    }
  }
}
`
}

function haproxyConfig(ports: Ports): string {
  return `global
  maxconn 1000
  nbthread 1
defaults
  mode http
  timeout connect 5s
  timeout client 10s
  timeout server 10s
  http-reuse safe
frontend behind
  bind fd@3
  default_backend behind
frontend straight
  bind fd@4
  http-request set-header x-forwarded-client-port %[src_port]
  default_backend straight
backend behind
  server origin 127.0.0.1:${ports.behindOrigin}
backend straight
  server origin 127.0.0.1:${ports.straightOrigin}
`
}

async function listen(): Promise<Server> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return server
}

const portOf = (server: Server): number => (server.address() as AddressInfo).port
const fdOf = (server: Server): number => (server as unknown as { _handle: { fd: number } })._handle.fd

const TIMEOUT_MS = 10_000
const POLL_MS = 20

/** Resolves when somebody answers at the port. */
async function answers(port: number): Promise<void> {
  for (const endMs = performance.now() + TIMEOUT_MS; performance.now() < endMs; ) {
    const socket = connect({ port, host: '127.0.0.1' })
    socket.on('error', () => {})
    socket.write('GET /ready HTTP/1.1\r\nHost: h\r\nX-Forwarded-Client-Port: 0\r\nConnection: close\r\n\r\n')
    const answered = await new Promise((resolve) => {
      socket.on('data', () => resolve(true))
      socket.on('close', () => resolve(false))
    })
    socket.destroy()
    if (answered) return
    await new Promise((resolve) => setTimeout(resolve, POLL_MS))
  }
  throw new Error(`nobody answers at port ${port}`)
}

/**
 * Starts the program on two free ports; undefined where it is not installed. HAProxy inherits the sockets as descriptors 3
 * and 4; nginx has to open its own on the ports that were free a moment ago.
 */
export async function startNeighbour(
  name: NeighbourName,
  origins: { readonly behind: number; readonly straight: number },
): Promise<Neighbour | undefined> {
  const program = findTool(name)
  if (program === undefined) return undefined
  const folder = await mkdtemp(join(tmpdir(), `castor-fuzz-${name}-`))
  const sockets = [await listen(), await listen()]
  const [behind, straight] = sockets.map(portOf) as [number, number]
  const ports: Ports = { behind, straight, behindOrigin: origins.behind, straightOrigin: origins.straight }
  const file = join(folder, 'config')
  await writeFile(file, name === 'nginx' ? nginxConfig(folder, ports) : haproxyConfig(ports))
  const args = name === 'nginx' ? ['-c', file, '-p', folder] : ['-db', '-q', '-f', file]
  const inherited = name === 'haproxy' ? sockets.map(fdOf) : []
  if (name === 'nginx') await Promise.all(sockets.map((socket) => new Promise((resolve) => socket.close(resolve))))
  const child: ChildProcess = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe', ...inherited] })
  let problem = ''
  child.stderr!.on('data', (data) => {
    problem += String(data)
  })
  child.on('exit', (code) => {
    if (code !== null && code !== 0) process.stderr.write(`${name} ended with ${code}: ${problem}\n`)
  })
  if (name === 'haproxy') for (const socket of sockets) socket.close()
  await Promise.all([answers(behind), answers(straight)])
  return {
    behindCastorPort: behind,
    straightPort: straight,
    async stop() {
      if (child.exitCode === null) {
        child.kill('SIGKILL')
        await once(child, 'exit')
      }
      await rm(folder, { recursive: true, force: true })
    },
  }
}
