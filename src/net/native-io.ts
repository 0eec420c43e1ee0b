import type { NativeAddon } from '../native/addon.js'
import type { NativeTls } from './native-tls.js'

/** What reads and writes of a thread's connections go through. */
export interface NativeIo {
  readonly addon: NativeAddon
  readonly readBuffer: Uint8Array
  readonly scratch: Uint8Array
  /** Made when it is first asked for; only for connections that speak it. */
  readonly tls: NativeTls
}
