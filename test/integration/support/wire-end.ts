import type { MeshTransport, MeshTransportEvents } from '../../../src/core/mesh.js'
import { until } from './until.js'

/** One host's end, and what it was told. */
export class WireEnd implements MeshTransportEvents {
  readonly frames: string[] = []
  readonly ups: boolean[] = []
  readonly downs: string[] = []

  constructor(readonly transport: MeshTransport) {
    transport.open(this)
  }

  onFrame(frame: Uint8Array): void {
    this.frames.push(Buffer.from(frame).toString())
  }

  onUp(empty: boolean): void {
    this.ups.push(empty)
  }

  onDown(reason: string): void {
    this.downs.push(reason)
  }

  publish(text: string): Promise<boolean> {
    return new Promise((resolve) => this.transport.publish(Buffer.from(text), resolve))
  }

  save(key: string, text: string, ttlMs = 0): Promise<boolean> {
    return new Promise((resolve) => this.transport.save(key, Buffer.from(text), ttlMs, resolve))
  }

  up(times = 1): Promise<boolean> {
    return until(`up ${times} times`, () => this.ups.length >= times, 10_000)
  }

  got(...texts: string[]): Promise<boolean> {
    return until(`${texts}, not ${this.frames}`, () => texts.every((text) => this.frames.includes(text)), 10_000)
  }
}
