import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Test } from './castor.js'
import type { NetworkNamespace } from './namespace.js'
import { type Nginx, newNginx } from './nginx.js'

/** A way in which a real nginx fails, and what the checks call it. */
export interface Fault {
  readonly name: string
  readonly reasons: readonly string[]
  /** Whether an ordinary request, too, shows that something is wrong. */
  readonly seenByTraffic: boolean
  begin(): void | Promise<void>
  end(): void | Promise<void>
}

/** An nginx that can be broken in one way. */
export interface BreakableNginx {
  readonly nginx: Nginx
  readonly fault: Fault
}

/** Answers 200, unless a file in its folder says otherwise; `slowAddress` is where it asks when it is to be slow. */
function serverBlock(folder: string, slowAddress: string): string {
  return `keepalive_requests 1000000;
    reset_timedout_connection on;
    location / {
      if (-f ${folder}/answers-500) { return 500; }
      if (-f ${folder}/answers-404) { return 404; }
      if (-f ${folder}/resets) { return 444; }
      if (-f ${folder}/slow) { rewrite ^ /slow last; }
      return 200 "ok";
    }
    location = /slow { internal; proxy_pass http://${slowAddress}; }`
}

/** One for each way to fail; that behind a firewall only with a namespace to put it in. */
export async function breakableNginxes(
  t: Test,
  program: string,
  slowAddress: string,
  namespace: NetworkNamespace | undefined,
): Promise<BreakableNginx[]> {
  const start = async (fault: (nginx: Nginx, block: string) => Fault, within?: NetworkNamespace) => {
    const options = within === undefined ? {} : { address: `${within.address}:8080`, within: within.enter }
    const nginx = await newNginx(t, program, options)
    const block = serverBlock(nginx.folder, slowAddress)
    await nginx.start(block)
    return { nginx, fault: fault(nginx, block) }
  }
  const all = [
    start((nginx) => ({
      name: 'is stopped',
      reasons: ['RECEIVE_RESPONSE_TIMEOUT'],
      seenByTraffic: true,
      begin: () => nginx.signal('SIGSTOP'),
      end: () => nginx.signal('SIGCONT'),
    })),
    start((nginx, block) => ({
      name: 'is killed',
      reasons: ['CONNECT_FAILED', 'RECEIVE_RESPONSE_FAILED'],
      seenByTraffic: true,
      begin: () => nginx.kill(),
      end: () => nginx.start(block),
    })),
    start((nginx, block) => ({
      name: 'answers nonsense',
      reasons: ['RESPONSE_FORMAT_ERROR'],
      seenByTraffic: true,
      // Without TLS it then speaks HTTP/2 and nothing else.
      begin: async () => {
        await nginx.kill()
        await nginx.start(block, 'http2')
      },
      end: async () => {
        await nginx.kill()
        await nginx.start(block)
      },
    })),
    start(byFile('is slow', 'slow', 'RECEIVE_RESPONSE_TIMEOUT')),
    start(byFile('answers 500', 'answers-500', 'HTTP_CODE_MISMATCH')),
    start(byFile('answers another code than is asked for', 'answers-404', 'HTTP_CODE_MISMATCH')),
    start(byFile('resets', 'resets', 'RECEIVE_RESPONSE_FAILED')),
  ]
  if (namespace !== undefined) {
    all.push(
      start(
        () => ({
          name: 'is behind a firewall that drops everything',
          reasons: ['CONNECT_TIMEOUT', 'RECEIVE_RESPONSE_TIMEOUT'],
          seenByTraffic: true,
          begin: () => namespace.closeFirewall(),
          end: () => namespace.openFirewall(),
        }),
        namespace,
      ),
    )
  }
  return Promise.all(all)
}

function byFile(name: string, file: string, reason: string): (nginx: Nginx) => Fault {
  return ({ folder }) => ({
    name,
    reasons: [reason],
    seenByTraffic: !file.startsWith('answers-'),
    begin: () => writeFile(join(folder, file), ''),
    end: () => rm(join(folder, file)),
  })
}
