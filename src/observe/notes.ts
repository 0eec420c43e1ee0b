import { AppendStream } from './append-stream.js'

const MAX_BUFFERED_BYTES = 64 * 1024

/** What the process says on a standard stream beside its logs. */
export interface Notes {
  say(text: string): void
}

/**
 * Nothing written here throws or waits: a line is lost where nobody reads it. `process.stdout` and `process.stderr` do
 * either when the other end of the pipe is gone, or is full.
 */
export function openNotes(fd: 1 | 2): Notes {
  const stream = AppendStream.over(fd, { maxBufferedBytes: MAX_BUFFERED_BYTES })
  process.on('exit', () => stream.flushSync())
  return {
    say(text) {
      stream.write(Buffer.from(text))
    },
  }
}

/** In place of Node, which prints its warnings on standard error. */
export function takeWarnings(onWarning: (text: string) => void): void {
  process.removeAllListeners('warning')
  process.on('warning', ({ name, message }) => onWarning(`${name}: ${message}`))
}
