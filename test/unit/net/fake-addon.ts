import { EAGAIN, EPOLLIN, EVENT_WORDS, type NativeAddon } from '../../../src/native/addon.js'

/** Descriptors that exist in a test's mind only: it says which are ready, what they hold and what fails. */
export class FakeAddon implements NativeAddon {
  /** Every call that opens, closes or watches, as it came. */
  readonly calls: string[] = []
  /** Numbers for the next dials; negative ones are errors. */
  readonly dials: number[] = []
  /** What to answer to `adopt` instead of 0. */
  readonly adoptErrors = new Map<number, number>()
  /** What is left to be read of each. */
  readonly incoming = new Map<number, number>()
  /** Tags as they were given, by descriptor. */
  readonly tags = new Map<number, number>()
  /** What `collect` brings, a batch a call. */
  readonly later: [fd: number, tag: number, flags: number][][] = []
  openError = 0
  watchError = 0
  #events: Int32Array = new Int32Array(0)
  #callback: (count: number) => void = () => {}

  /** A turn of the loop that finds these ready. */
  fire(...events: [fd: number, tag: number, flags: number][]): void {
    this.#callback(this.#put(events))
  }

  /** The same for whatever these descriptors are adopted as now. */
  fireReadable(...fds: number[]): void {
    this.fire(...fds.map((fd): [number, number, number] => [fd, this.tags.get(fd)!, EPOLLIN]))
  }

  pollerOpen(events: Int32Array, _read: Uint8Array, _write: Uint8Array, callback: (count: number) => void): number {
    this.#events = events
    this.#callback = callback
    return this.openError
  }

  pollerClose(): void {
    this.calls.push('pollerClose')
  }

  collect(): number {
    return this.#put(this.later.shift() ?? [])
  }

  watch(fd: number): number {
    this.calls.push(`watch ${fd}`)
    return this.watchError
  }

  adopt(fd: number, tag: number): number {
    const error = this.adoptErrors.get(fd) ?? 0
    if (error === 0) this.tags.set(fd, tag)
    this.calls.push(`adopt ${fd}`)
    return error
  }

  release(fd: number): void {
    this.calls.push(`release ${fd}`)
  }

  drop(fd: number, reset: 0 | 1): number {
    this.calls.push(`drop ${fd} ${reset}`)
    return 0
  }

  receive(fd: number, limit: number): number {
    const left = this.incoming.get(fd)
    if (left === undefined) return EAGAIN
    const count = Math.min(left, limit)
    if (left > count) this.incoming.set(fd, left - count)
    else this.incoming.delete(fd)
    return count
  }

  connectTcp(): number {
    return this.dials.shift()!
  }

  closeFd(fd: number, reset: 0 | 1): number {
    this.calls.push(`closeFd ${fd} ${reset}`)
    return 0
  }

  send(_fd: number, _which: 0 | 1, start: number, end: number): number {
    return end - start
  }

  sendFrom(_fd: number, _bytes: Uint8Array, start: number, end: number): number {
    return end - start
  }

  errorName(errno: number): string {
    return `E${-errno}`
  }

  socketError = (): number => 0
  unread = (): number => 0
  ahead = (): number => 0
  unacknowledged = (): number => 0
  shutdownWrite = (): number => 0
  address = (): number => -107
  listenTcp = (): number => -1
  duplicate = (): number => -1
  openWaker = (): number => -1
  wake = (): number => 0
  acceptorOpen = (): number => -1
  acceptorMute(): number {
    return 0
  }
  acceptorPause(): void {}
  acceptorResume(): void {}
  acceptorClose(): void {}

  #put(events: readonly (readonly number[])[]): number {
    for (const [i, words] of events.entries()) this.#events.set(words, i * EVENT_WORDS)
    return events.length
  }
}
