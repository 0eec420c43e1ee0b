import type { TargetGroupConfig } from '../core/config.js'

/** The group of a listener that answers everything itself: nobody is in it, and nobody asks it. */
export const NO_GROUP: TargetGroupConfig = {
  name: '',
  protocol: 'http',
  algorithm: 'round-robin',
  targets: [],
  proxyProtocol: 'off',
  forwarded: { proto: false, port: false, host: false, vip: false, clientPort: false, rfc7239: false, via: false },
  retries: { attempts: 0, on: [], budgetPercent: 0 },
  hashOn: { by: 'source' },
  failOpen: false,
  healthCheck: {
    protocol: 'off',
    path: '/',
    host: '',
    port: 0,
    intervalMs: 0,
    timeoutMs: 0,
    healthyThreshold: 1,
    unhealthyThreshold: 1,
    codes: [],
    httpVersion: '1.1',
    verify: false,
  },
  outlierDetection: { consecutiveFailures: 0, ejectForMs: 0, maxEjectedPercent: 0 },
  stickiness: { type: 'off' },
  slowStartMs: 0,
  drainingMs: 0,
  timeouts: { connectMs: 0, responseMs: 0 },
  maxConnectionsPerTarget: 0,
  queue: { size: 0, timeoutMs: 0 },
}
