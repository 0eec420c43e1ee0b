import type { AcceptedBatch, Acceptor, AcceptorEvents, Listening, ListenSpec } from '../core/acceptor.js'
import { RECORD_FD, RECORD_PORT, RECORD_WORDS, recordPeer } from '../core/connection-record.js'
import { CastorError } from '../core/errors.js'
import { ACCEPT_BATCH, ACCEPTED, type NativeAddon } from '../native/addon.js'

/** Accepts through the addon: whole batches of descriptors, addresses in words. */
export class NativeAcceptor implements Acceptor {
  readonly #addon: NativeAddon

  constructor(addon: NativeAddon) {
    this.#addon = addon
  }

  async listen(spec: ListenSpec, events: AcceptorEvents): Promise<Listening> {
    const addon = this.#addon
    const { address, port, backlog, deferAcceptSeconds, keepAliveSeconds = 0 } = spec
    const ipv6Only = spec.ipv6Only ? 1 : 0
    const besides = spec.besides === true ? 1 : 0
    const fd =
      spec.fd ?? addon.listenTcp(address, port, backlog, ipv6Only, deferAcceptSeconds, keepAliveSeconds, besides)
    if (fd < 0) throw refused(spec, addon.errorName(fd))
    const bound = new Int32Array(RECORD_WORDS)
    addon.address(fd, 0, bound)
    const records = new Int32Array(ACCEPT_BATCH * RECORD_WORDS)
    const batch = new NativeBatch(addon, records)
    const id = addon.acceptorOpen(fd, records, (event, value) => {
      if (event !== ACCEPTED) return events.onOutOfDescriptors(value)
      batch.count = value
      events.onAccepted(batch)
    })
    if (id < 0) {
      addon.closeFd(fd, 0)
      throw refused(spec, addon.errorName(id))
    }
    return {
      fd,
      address: recordPeer(bound, 0).address,
      port: bound[RECORD_PORT] ?? spec.port,
      mute: () => addon.acceptorMute(id) === 0,
      pause: () => addon.acceptorPause(id),
      resume: () => addon.acceptorResume(id),
      close: () => addon.acceptorClose(id),
    }
  }
}

function refused({ address, port }: ListenSpec, code: string): CastorError {
  return new CastorError('LISTEN_FAILED', `${address} port ${port}: ${code}`, {
    cause: Object.assign(new Error(code), { code }),
  })
}

class NativeBatch implements AcceptedBatch {
  count = 0
  readonly records: Int32Array
  readonly #addon: NativeAddon

  constructor(addon: NativeAddon, records: Int32Array) {
    this.#addon = addon
    this.records = records
  }

  discard(index: number): void {
    this.#addon.closeFd(this.records[index * RECORD_WORDS + RECORD_FD]!, 1)
  }
}
