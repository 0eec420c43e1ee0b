import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from './castor.js'
import { refusingAddress } from './tcp-peers.js'
import { until } from './until.js'

/** Runs nginx with one server block on a free port of loopback; `listenOptions` stand behind the address. */
export async function startNginx(t: Test, program: string, server: string, listenOptions = ''): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'castor-nginx-'))
  const address = await refusingAddress()
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
  const child = spawn(program, ['-e', 'stderr', '-p', folder, '-c', 'nginx.conf'], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let said = ''
  child.stderr.on('data', (data) => (said += String(data)))
  const ended = once(child, 'exit')
  t.teardown(async () => {
    if (child.exitCode === null) child.kill('SIGKILL')
    await ended
    await rm(folder, { recursive: true, force: true })
  })
  const port = Number(address.slice(address.lastIndexOf(':') + 1))
  await until('nginx listening', async () => {
    if (child.exitCode !== null) throw new Error(`nginx ended: ${said}`)
    const socket = connect(port, '127.0.0.1')
    try {
      await once(socket, 'connect')
      return true
    } finally {
      socket.destroy()
    }
  })
  return address
}
