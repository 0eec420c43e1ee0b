import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { MessageChannel, receiveMessageOnPort, Worker } from 'node:worker_threads'
import type { OptionsIssue } from './plugin-module.js'

/** Asks a thread of its own what modules say, and waits: reading a configuration is one call, and modules are imported. */

const WAIT_MS = 30_000

export type ModuleOrder =
  | { readonly type: 'plugins'; readonly plugins: readonly PluginOrder[] }
  /** A configuration that is a program. */
  | { readonly type: 'program'; readonly file: string }

export interface PluginOrder {
  /** Absolute path. */
  readonly module: string
  readonly options: unknown
}

/** What a plug-in's module says of itself and of its options. */
export interface ModuleFindings {
  /** Undefined where it could not be imported. */
  readonly name?: string
  readonly sha256?: string
  readonly deadlineMs?: number
  readonly failurePolicy?: 'closed' | 'open'
  /** Paths begin at the options. */
  readonly issues: readonly OptionsIssue[]
  /** Why it is no plug-in. */
  readonly problem?: string
}

export type ModuleAnswer =
  | { readonly type: 'plugins'; readonly plugins: readonly ModuleFindings[] }
  | { readonly type: 'program'; readonly text: string }
  | { readonly type: 'failed'; readonly message: string }

/** Ends within half a minute whatever the modules do: one that loops ends with its thread. */
export function askModuleThread(order: ModuleOrder): ModuleAnswer {
  const { port1, port2 } = new MessageChannel()
  const flag = new Int32Array(new SharedArrayBuffer(4))
  const worker = new Worker(threadFile(), {
    workerData: { order, flag, port: port2 },
    transferList: [port2],
    argv: [],
    // What modules print has nobody to read it while this thread waits.
    stdout: true,
    stderr: true,
  })
  worker.on('error', () => {})
  worker.unref()
  const said = Atomics.wait(flag, 0, 0, WAIT_MS)
  const answer = receiveMessageOnPort(port1)?.message as ModuleAnswer | undefined
  port1.close()
  void worker.terminate()
  if (answer !== undefined) return answer
  const why = said === 'timed-out' ? `nothing was heard of it within ${WAIT_MS / 1000} s` : 'its thread ended'
  return { type: 'failed', message: why }
}

/** Beside this file, also where this is part of a bundle. */
function threadFile(): string {
  const [here, fromBundle] = ['./module-thread.js', '../../src/config/module-thread.js'].map((path) =>
    fileURLToPath(new URL(path, import.meta.url)),
  )
  return existsSync(here!) ? here! : fromBundle!
}
