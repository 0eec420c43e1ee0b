// Hot path: every byte that a connection sends passes here.
import type { NativeIo } from './native-io.js'
import type { NativeTls } from './native-tls.js'

/**
 * Sends [start, end) of `buffer` on the descriptor, through `engine` where the connection speaks TLS. Returns the bytes
 * taken, or a negative errno. The addon knows the thread's own two buffers by number; others are passed to it.
 */
export function sendBytes(
  host: NativeIo,
  engine: NativeTls | undefined,
  fd: number,
  buffer: Uint8Array,
  start: number,
  end: number,
): number {
  if (engine !== undefined) {
    if (buffer === host.scratch) return engine.send(fd, 1, start, end)
    if (buffer === host.readBuffer) return engine.send(fd, 0, start, end)
    return engine.sendFrom(fd, buffer, start, end)
  }
  if (buffer === host.scratch) return host.addon.send(fd, 1, start, end)
  if (buffer === host.readBuffer) return host.addon.send(fd, 0, start, end)
  return host.addon.sendFrom(fd, buffer, start, end)
}
