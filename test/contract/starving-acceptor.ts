// Runs in a process of its own: accepts with hardly a descriptor left, and says on standard output what happens.
import { closeSync, openSync } from 'node:fs'
import type { Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { RECORD_PORT, RECORD_WORDS } from '../../src/core/connection-record.js'
import { ACCEPTORS } from './acceptor-implementations.js'

/** Connections there is room for. */
const FREE = 4

export type Tale =
  | { readonly type: 'listening'; readonly port: number }
  | { readonly type: 'accepted'; readonly peerPort: number }
  | { readonly type: 'starved'; readonly pausedMs: number; readonly cpuMs: number; readonly wallMs: number }
  | { readonly type: 'freed' }

function tell(tale: Tale): void {
  process.stdout.write(`${JSON.stringify(tale)}\n`)
}

function hoard(): number[] {
  const held: number[] = []
  for (;;) {
    try {
      held.push(openSync('/dev/null', 'r'))
    } catch {
      return held
    }
  }
}

const accepted: unknown[] = []
const name = process.argv[2] === 'native' ? 'native' : 'shared-listen'
const listening = await ACCEPTORS[name].make().listen(
  { address: '127.0.0.1', port: 0, backlog: 511, ipv6Only: true, deferAcceptSeconds: 0 },
  {
    onAccepted(batch) {
      for (let i = 0; i < batch.count; i++) {
        const socket = batch.sockets?.[i] as Socket | undefined
        // A client that is gone is no news here.
        socket?.on('error', () => {})
        accepted.push(socket)
        tell({ type: 'accepted', peerPort: batch.records[i * RECORD_WORDS + RECORD_PORT]! })
      }
    },
    onOutOfDescriptors(pausedMs) {
      const { user, system } = process.cpuUsage()
      tell({ type: 'starved', pausedMs, cpuMs: (user + system) / 1_000, wallMs: performance.now() })
    },
  },
)
const held = hoard()
for (const fd of held.splice(-FREE)) closeSync(fd)
createInterface({ input: process.stdin }).on('line', (line) => {
  if (line === 'stop') process.exit(0)
  for (const fd of held.splice(0)) closeSync(fd)
  tell({ type: 'freed' })
})
tell({ type: 'listening', port: listening.port })
