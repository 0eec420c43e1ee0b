import type { Acceptor } from '../../src/core/acceptor.js'
import { nativeAddon } from '../../src/native/addon.js'
import { NativeAcceptor } from '../../src/net/native-acceptor.js'
import { SharedListenAcceptor } from '../../src/net/shared-listen-acceptor.js'

export interface AcceptorImplementation {
  readonly available: boolean
  /** Hands descriptors over, defers accepting where asked to, and tells of missing descriptors. */
  readonly native: boolean
  make(): Acceptor
}

export const ACCEPTORS: Readonly<Record<'native' | 'shared-listen', AcceptorImplementation>> = {
  native: { available: nativeAddon() !== undefined, native: true, make: () => new NativeAcceptor(nativeAddon()!) },
  'shared-listen': { available: true, native: false, make: () => new SharedListenAcceptor() },
}
