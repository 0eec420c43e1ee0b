// Run as a child process by shared-listening.ts: sends every handle back, which makes a new descriptor of it.
import type { SendHandle } from 'node:child_process'

process.on('message', (id: number, handle: SendHandle) => {
  const closeOwn = (): void => (handle as unknown as { close(): void }).close()
  process.send?.(id, handle, {}, closeOwn)
})
process.on('disconnect', () => process.exit(0))
