import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from './castor.js'
import { refusingAddress } from './tcp-peers.js'
import { until } from './until.js'

export interface NginxOptions {
  /** A free port of loopback where not given. */
  readonly address?: string
  /** A command that runs nginx, such as one that enters a namespace: nginx's own command is appended. */
  readonly within?: readonly string[]
}

/** One nginx process with one server block; can be killed and started again at the same address. */
export class Nginx {
  readonly address: string
  /** Its own, for whatever the server block looks at. */
  readonly folder: string
  readonly #program: string
  readonly #within: readonly string[]
  #child: ChildProcess | undefined
  #said = ''

  constructor(program: string, address: string, folder: string, within: readonly string[] = []) {
    this.#program = program
    this.address = address
    this.folder = folder
    this.#within = within
  }

  signal(name: NodeJS.Signals): void {
    this.#child?.kill(name)
  }

  /** Resolves once the process is gone. */
  async kill(): Promise<void> {
    const child = this.#child
    if (child === undefined) return
    this.#child = undefined
    const ended = once(child, 'exit')
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGKILL')
    await ended
  }

  /** Resolves once it accepts connections. */
  async start(server: string, listenOptions = ''): Promise<void> {
    const { folder, address } = this
    const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
      (name) => `${name}_temp_path ${folder}/${name};`,
    )
    await writeFile(
      join(folder, 'nginx.conf'),
      `daemon off;
master_process off;
pid ${folder}/nginx.pid;
error_log stderr warn;
events { worker_connections 256; }
http {
  access_log off;
  ${paths.join('\n  ')}
  server {
    listen ${address} ${listenOptions};
    ${server}
  }
}
`,
    )
    const command = [...this.#within, this.#program, '-e', 'stderr', '-p', folder, '-c', 'nginx.conf']
    const child = spawn(command[0]!, command.slice(1), { stdio: ['ignore', 'ignore', 'pipe'] })
    this.#child = child
    child.stderr.on('data', (data) => (this.#said += String(data)))
    const colon = address.lastIndexOf(':')
    await until('nginx listening', async () => {
      if (child.exitCode !== null) throw new Error(`nginx ended: ${this.#said}`)
      const socket = connect(Number(address.slice(colon + 1)), address.slice(0, colon))
      try {
        await once(socket, 'connect')
        return true
      } finally {
        socket.destroy()
      }
    })
  }
}

/** An nginx that does not run yet; the test's end kills it. */
export async function newNginx(t: Test, program: string, options: NginxOptions = {}): Promise<Nginx> {
  const folder = await mkdtemp(join(tmpdir(), 'castor-nginx-'))
  const nginx = new Nginx(program, options.address ?? (await refusingAddress()), folder, options.within)
  t.teardown(async () => {
    await nginx.kill()
    await rm(folder, { recursive: true, force: true })
  })
  return nginx
}

/** Runs nginx with one server block on a free port of loopback; `listenOptions` stand behind the address. */
export async function startNginx(t: Test, program: string, server: string, listenOptions = ''): Promise<string> {
  const nginx = await newNginx(t, program)
  await nginx.start(server, listenOptions)
  return nginx.address
}
