// Hot path: WINDOW_UPDATE comes with every few DATA frames.

import { H2_ERROR } from './engine.js'
import { FLOOD } from './flood.js'
import { LARGEST_WINDOW_BYTES } from './frames.js'
import type { SessionOps } from './session-ops.js'

const { PROTOCOL_ERROR, FLOW_CONTROL_ERROR, REFUSED_STREAM } = H2_ERROR

/** Acts on the frames that are about the connection or its windows, and neither header blocks nor data. */
export class ControlFrames {
  readonly #connection: SessionOps

  constructor(connection: SessionOps) {
    this.#connection = connection
  }

  settings(payload: Uint8Array, start: number, end: number): void {
    const connection = this.#connection
    const { peer } = connection
    if (connection.flood(FLOOD.SETTINGS)) return
    const windowBefore = peer.initialWindow
    const fault = peer.read(payload, start, end)
    if (fault !== undefined) {
      connection.end(fault.isFlowControl ? FLOW_CONTROL_ERROR : PROTOCOL_ERROR, 'PROTOCOL', fault.detail)
      return
    }
    connection.ready = true
    connection.output.settingsAck()
    connection.encoder.setPeerLimit(peer.headerTableBytes)
    if (!this.#changeWindows(peer.initialWindow - windowBefore)) return
    connection.handler.onSettings(connection)
    if (!connection.closed) connection.ends.offerStreams()
  }

  settingsAcknowledged(): void {
    const connection = this.#connection
    if (connection.flood(FLOOD.SETTINGS) || !connection.liveness.settingsAcknowledged()) return
    connection.windows.acknowledged()
    connection.incoming.decoder.setLimit(connection.settings.headerTableBytes)
  }

  ping(payload: Uint8Array, at: number, ack: boolean): void {
    const connection = this.#connection
    if (ack && connection.liveness.ponged(payload, at)) return
    if (connection.flood(FLOOD.PINGS) || ack) return
    connection.output.ping(payload, at, true)
  }

  goAway(lastId: number, code: number): void {
    const connection = this.#connection
    if (connection.flood(FLOOD.USELESS)) return
    connection.draining = true
    if (connection.role === 'client') {
      for (const stream of connection.table.all()) {
        if (stream.id === 0 || stream.id > lastId) connection.ends.drop(stream, REFUSED_STREAM, true)
      }
    }
    connection.handler.onGoAway(connection, code)
    connection.finishIfDrained()
  }

  windowUpdate(id: number, bytes: number): void {
    const connection = this.#connection
    const { sender } = connection
    if (connection.flood(FLOOD.WINDOW_UPDATES)) return
    if (id === 0) {
      sender.window += bytes
      if (bytes === 0) {
        connection.end(PROTOCOL_ERROR, 'PROTOCOL', 'WINDOW_UPDATE of 0 (RFC 9113, 6.9)')
      } else if (sender.window > LARGEST_WINDOW_BYTES) {
        connection.end(FLOW_CONTROL_ERROR, 'PROTOCOL', 'a window beyond 2^31 - 1 (RFC 9113, 6.9.1)')
      }
      return
    }
    const stream = connection.table.open.get(id)
    if (stream === undefined) return
    if (bytes === 0) connection.streamError(id, PROTOCOL_ERROR)
    else if (!sender.grant(stream, bytes)) connection.streamError(id, FLOW_CONTROL_ERROR)
  }

  #changeWindows(change: number): boolean {
    if (change === 0) return true
    const connection = this.#connection
    for (const stream of connection.table.unsent) stream.sendWindow += change
    for (const stream of connection.table.open.values()) {
      if (connection.sender.grant(stream, change)) continue
      connection.end(FLOW_CONTROL_ERROR, 'PROTOCOL', 'a window beyond 2^31 - 1 (RFC 9113, 6.9.2)')
      return false
    }
    return true
  }
}
