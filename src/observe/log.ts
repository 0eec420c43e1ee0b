import { createRequire } from 'node:module'
import { type Logger, type LoggerOptions, pino, stdTimeFunctions } from 'pino'
import type { LogConfig } from '../core/config.js'
import { printable, printableJson } from '../core/printable.js'
import { AppendStream } from './append-stream.js'

export type { Logger } from 'pino'

/** What every line says about where it comes from. `thread` is `primary` or, for instance, `proxy-2`. */
export interface LogIdentity {
  readonly node: string
  readonly thread: string
}

/** Where finished lines go, the primary's own and those that workers post. */
export interface LogDestination {
  /** One JSON line with its newline. */
  write(line: string): void
  flushSync(): void
  /** Writes what waits, so long at the most. False where the process's exit may have to wait for a reader. */
  close(withinMs?: number): Promise<boolean>
}

const STDERR = 2
const MAX_BUFFERED_BYTES = 4 * 1024 * 1024

/** Names under which a secret could slip into a line. They are covered at the top and one level down. */
const SECRETS = ['token', 'secret', 'password', 'authorization', 'cookie', 'set-cookie', 'key']
const REDACTED_PATHS = SECRETS.flatMap((name) => [`["${name}"]`, `*["${name}"]`])

/**
 * The program's own log, apart from the access log: standard error by default, written asynchronously and flushed when
 * the process exits. With `format: pretty` lines are made readable here, so that workers need not know.
 */
export function openLogDestination(config: LogConfig, fd: number = STDERR): LogDestination {
  const stream = AppendStream.over(fd, { maxBufferedBytes: MAX_BUFFERED_BYTES })
  const format = config.format === 'pretty' ? prettyLines(fd) : (line: string) => line
  const atExit = (): void => stream.flushSync()
  process.on('exit', atExit)
  return {
    write(line) {
      stream.write(Buffer.from(format(line)))
    },
    flushSync: atExit,
    async close(withinMs) {
      const isDone = await stream.close(withinMs)
      process.off('exit', atExit)
      return isDone
    },
  }
}

/** The primary's logger. Lines it and workers make are written through `destination`. */
export function createLogger(config: LogConfig, destination: LogDestination, identity: LogIdentity): Logger {
  return pino(options(config, identity), destination)
}

/** A worker's logger: each line is posted to the primary, which gives it to `LogDestination.write` as it is. */
export function createWorkerLogger(config: LogConfig, post: (line: string) => void, identity: LogIdentity): Logger {
  return pino(options(config, identity), { write: post })
}

function options(config: LogConfig, identity: LogIdentity): LoggerOptions {
  return {
    level: config.level,
    base: { node: identity.node, thread: identity.thread },
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    redact: { paths: REDACTED_PATHS, censor: '[redacted]' },
  }
}

function prettyLines(fd: number): (line: string) => string {
  const isTerminal = fd === 1 ? process.stdout.isTTY : fd === 2 && process.stderr.isTTY
  // Loaded only here: every thread logs, and what makes lines readable is a third of what a thread loads before it runs.
  const { prettyFactory } = createRequire(import.meta.url)('pino-pretty') as typeof import('pino-pretty')
  const pretty = prettyFactory({
    colorize: isTerminal === true && process.env.NO_COLOR === undefined,
    translateTime: 'SYS:HH:MM:ss.l',
    ignore: 'node,thread',
    messageFormat: '[{thread}] {msg}',
  })
  // JSON keeps what a terminal would act upon in escapes; made readable it must not come to life, nor look like a line of
  // its own. Only stack traces have several.
  return (line) => {
    const safe = JSON.parse(printableJson(line, true)) as { msg?: unknown }
    if (typeof safe.msg === 'string') safe.msg = printable(safe.msg)
    return pretty(safe) ?? line
  }
}
