import type { Clock } from '../../src/core/clock.js'
import type { HealthCheckConfig, TargetGroupConfig } from '../../src/core/config.js'
import { isTlsGroup } from '../../src/core/protocols.js'
import { GrpcHealthCall } from '../../src/health/grpc-check.js'
import { HttpDialogue } from '../../src/health/http-dialogue.js'
import { Http2Get } from '../../src/health/http2-check.js'
import { Http2Dialogue } from '../../src/health/http2-dialogue.js'
import { type ProbeDialogue, TCP_DIALOGUE } from '../../src/health/probe.js'

/** How one check of a target is talked. `address` is the target's own, with its port. */
export function checkDialogue(
  { healthCheck: check, tolerate }: TargetGroupConfig,
  isOverTls: boolean,
  address: string,
  clock: Clock,
): ProbeDialogue {
  const scheme = isOverTls ? 'https' : 'http'
  switch (check.protocol) {
    case 'off':
    case 'tcp':
      return TCP_DIALOGUE
    case 'http':
    case 'https':
      return new HttpDialogue({ ...check, version: check.httpVersion, tolerate }, address)
    case 'h2c':
    case 'h2':
      return new Http2Dialogue(new Http2Get(check, scheme, address), clock)
    case 'grpc':
      return new Http2Dialogue(new GrpcHealthCall(check, scheme, address), clock)
  }
}

/** Whether a group's checks speak TLS: gRPC as the group's traffic does. */
export function isCheckedOverTls({ protocol, healthCheck }: TargetGroupConfig): boolean {
  switch (healthCheck.protocol) {
    case 'https':
    case 'h2':
      return true
    case 'grpc':
      return isTlsGroup(protocol)
    default:
      return false
  }
}

/** What must be agreed on by ALPN; undefined where nothing is offered. */
export function checkAlpn({ protocol }: HealthCheckConfig): 'h2' | undefined {
  return protocol === 'h2' || protocol === 'grpc' ? 'h2' : undefined
}
