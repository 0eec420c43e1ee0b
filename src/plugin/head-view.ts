import type { PluginHeaders } from '../core/plugin.js'
import { HEADER_STRIDE, NAME_END, NAME_START, VALUE_END, VALUE_START } from '../http/head-layout.js'
import type { HeadParser } from '../http/head-parser.js'
import type { HeaderChanges } from './header-changes.js'

/** A head as plug-ins see it. The bytes are the view's for as long as it is used. */
export abstract class HeadView implements PluginHeaders {
  abstract readonly changes: HeaderChanges
  protected abstract get head(): HeadParser
  protected abstract get bytes(): Uint8Array
  protected abstract get from(): number

  header(name: string): string | undefined {
    const wanted = String(name).toLowerCase()
    const found = this.headers()
      .filter(([each]) => each.toLowerCase() === wanted)
      .map(([, value]) => value)
    // RFC 6265 5.4, for what HTTP/2 clients send in pieces.
    const before = found.length === 0 ? undefined : found.join(wanted === 'cookie' ? '; ' : ', ')
    return this.changes.read(wanted, before)
  }

  headers(): readonly (readonly [string, string])[] {
    const { head, bytes, from } = this
    const { headers, headerCount } = head
    return Array.from({ length: headerCount }, (_, index) => {
      const entry = index * HEADER_STRIDE
      const name = head.text(bytes, from, headers[entry + NAME_START]!, headers[entry + NAME_END]!)
      return [name, head.text(bytes, from, headers[entry + VALUE_START]!, headers[entry + VALUE_END]!)] as const
    })
  }

  setHeader(name: string, value: string | number): void {
    this.changes.set(name, value)
  }

  addHeader(name: string, value: string | number): void {
    this.changes.add(name, value)
  }

  removeHeader(name: string): void {
    this.changes.remove(name)
  }
}
