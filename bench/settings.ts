/** What one run of the bench was asked to do. */
export interface Settings {
  /** Measurements of each proxy in each scenario, in turn. */
  readonly rounds: number
  /** Length of one measurement; whole seconds, since wrk takes no others. */
  readonly seconds: number
  /** Client connections at once. */
  readonly connections: number
  readonly scenarios: readonly string[]
  readonly proxies: readonly string[]
  readonly load: 'wrk' | 'autocannon'
  readonly origin: 'nginx' | 'own'
  /** Requests a second for the HTTP scenarios of one kind of request; undefined = as fast as they are answered. */
  readonly rate: number | undefined
  /** Client connections of the idle scenario. */
  readonly idleConnections: number
  /** Requests of the allocation scenario, warm-up included. */
  readonly allocRequests: number
}
