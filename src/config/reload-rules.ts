/** Whether a change of a key takes effect by a reload, or only when the process starts. */
export type ReloadRule = 'reload' | 'restart'

/**
 * What a reload does about each key of the file. A path stands for all below it that has no entry of its own; `*` is any
 * place in a list. `test/meta` fails where a key of the top, of a listener, a group, or any other map of the top is missing
 * here, so that no key is passed over in silence.
 */
export const RELOAD_RULES: Readonly<Record<string, ReloadRule>> = {
  // Names the host in every line and to its peers, and shared memory has a column for each worker.
  node: 'restart',
  workers: 'restart',
  'log.level': 'reload',
  // What has been opened and is being written to stays.
  'log.format': 'restart',
  'log.access': 'restart',
  'log.audit': 'restart',
  'admin.listen': 'restart',
  'admin.token': 'reload',
  'admin.tokens': 'reload',
  'admin.hosts': 'reload',
  drainDelay: 'reload',
  shutdownTimeout: 'reload',
  upgradeTimeout: 'reload',
  upgradeDrain: 'reload',
  reload: 'reload',
  // Both decide what sticky cookies are keyed with.
  stateDir: 'restart',
  secret: 'restart',
  watchdog: 'restart',
  plugins: 'reload',
  'listeners.*.name': 'reload',
  'listeners.*.protocol': 'reload',
  'listeners.*.listen': 'reload',
  'listeners.*.targetGroup': 'reload',
  'listeners.*.rules': 'reload',
  'listeners.*.tls': 'reload',
  'listeners.*.http2': 'reload',
  'listeners.*.redirectToHttps': 'reload',
  'listeners.*.keepAlive': 'reload',
  'listeners.*.idleTimeout': 'reload',
  'listeners.*.upgrades': 'reload',
  'listeners.*.halfClose': 'reload',
  'listeners.*.websocketIdleTimeout': 'reload',
  'listeners.*.acceptProxyProtocol': 'reload',
  'listeners.*.trustForwardedFrom': 'reload',
  'listeners.*.explainFrom': 'reload',
  'listeners.*.limits': 'reload',
  ruleSets: 'reload',
  'targetGroups.*.name': 'reload',
  'targetGroups.*.protocol': 'reload',
  'targetGroups.*.tls': 'reload',
  'targetGroups.*.http2': 'reload',
  'targetGroups.*.algorithm': 'reload',
  'targetGroups.*.hashOn': 'reload',
  'targetGroups.*.targets': 'reload',
  'targetGroups.*.keepAlive': 'reload',
  'targetGroups.*.proxyProtocol': 'reload',
  'targetGroups.*.forwarded': 'reload',
  'targetGroups.*.tolerate': 'reload',
  'targetGroups.*.retries': 'reload',
  'targetGroups.*.timeouts': 'reload',
  'targetGroups.*.failOpen': 'reload',
  'targetGroups.*.healthCheck': 'reload',
  'targetGroups.*.outlierDetection': 'reload',
  'targetGroups.*.panicPercent': 'reload',
  'targetGroups.*.slowStart': 'reload',
  'targetGroups.*.draining': 'reload',
  'targetGroups.*.stickiness': 'reload',
  'targetGroups.*.maxConnectionsPerTarget': 'reload',
  'targetGroups.*.queue': 'reload',
  'protection.headerTimeout': 'reload',
  'protection.firstByteTimeout': 'reload',
  'protection.bodyMinRate': 'reload',
  'protection.maxHeaderBytes': 'reload',
  'protection.maxHeaders': 'reload',
  // The open-file limit is shared out among clients, targets and checks when the process starts.
  'protection.maxConnections': 'restart',
  'protection.allow': 'reload',
  'protection.deny': 'reload',
  'protection.connectionsPerSource': 'reload',
  'protection.newConnectionsPerSource': 'reload',
  'protection.handshakesPerSource': 'reload',
  'protection.requestsPerSource': 'reload',
  // Who may join, and what a host calls itself there, is settled before the first message.
  cluster: 'restart',
  'cluster.name': 'restart',
  'cluster.redis': 'restart',
  'cluster.secret': 'restart',
  'cluster.heartbeat': 'restart',
  // Only castor keepalived reads it.
  'cluster.hosts': 'reload',
  vips: 'reload',
  'sessions.capacity': 'restart',
  'reserve.targets': 'restart',
}

/** The rule for a key of the file, by the longest entry that the path begins with. Throws where there is none. */
export function reloadRule(path: readonly string[]): ReloadRule {
  for (let length = path.length; length > 0; length--) {
    const rule = RELOAD_RULES[path.slice(0, length).join('.')]
    if (rule !== undefined) return rule
  }
  throw new RangeError(`no rule says whether ${path.join('.')} applies by reload`)
}
