import type { AdminListen, Config, RedisConfig, RedisNode, SourceListConfig, VipConfig } from '../core/config.js'
import { formatAddress, formatAdminListen } from './addresses.js'
import { groupDocument } from './document-group.js'
import { list, listenerDocument, orUnlimited } from './document-listener.js'
import { pluginDocument } from './document-plugins.js'
import { byPath, type ShownFile } from './shown-file.js'
import { fileItem, fileOfItem } from './source-list.js'
import type { Fields } from './tree.js'
import { formatDuration, formatSize } from './units.js'

/**
 * The configuration in the form of the file, with every default filled in: its keys, its words, its units. Read as a file
 * it is the same configuration again. Secrets are in it; `maskSecrets` covers them.
 */
export function toDocument(config: Config, file: ShownFile = byPath): Fields {
  const { log, admin, protection, cluster } = config
  return {
    node: config.node,
    workers: config.workers,
    log: { ...log },
    admin: { listen: list(admin.listen.map((one: AdminListen) => formatAdminListen(one))), ...rest(admin) },
    drainDelay: formatDuration(config.drainDelayMs),
    shutdownTimeout: formatDuration(config.shutdownTimeoutMs),
    upgradeTimeout: formatDuration(config.upgradeTimeoutMs),
    upgradeDrain: formatDuration(config.upgradeDrainMs),
    reload: config.reload,
    stateDir: config.stateDir,
    ...(config.secret === '' ? {} : { secret: config.secret }),
    watchdog: config.watchdogMs === 0 ? 'off' : formatDuration(config.watchdogMs),
    plugins: config.plugins.map(pluginDocument),
    listeners: config.listeners.map((listener) => listenerDocument(listener, file)),
    targetGroups: config.targetGroups.map(groupDocument),
    protection: {
      headerTimeout: formatDuration(protection.headerTimeoutMs),
      firstByteTimeout: formatDuration(protection.firstByteTimeoutMs),
      bodyMinRate: `${formatSize(protection.bodyMinRateBytesPerSecond)}/s`,
      maxHeaderBytes: formatSize(protection.maxHeaderBytes),
      maxHeaders: protection.maxHeaders,
      maxConnections: protection.maxConnections,
      allow: sourcesDocument(protection.allow, file),
      deny: sourcesDocument(protection.deny, file),
      connectionsPerSource: orUnlimited(protection.connectionsPerSource),
      newConnectionsPerSource: rateOrUnlimited(protection.newConnectionsPerSource),
      handshakesPerSource: rateOrUnlimited(protection.handshakesPerSource),
      requestsPerSource: rateOrUnlimited(protection.requestsPerSource),
    },
    ...(cluster === undefined
      ? {}
      : {
          cluster: {
            name: cluster.name,
            redis: redisDocument(cluster.redis),
            secret: cluster.secret,
            heartbeat: formatDuration(cluster.heartbeatMs),
            hosts: cluster.hosts.map((host) => ({ ...host })),
          },
        }),
    vips: config.vips.map(vipDocument),
    sessions: { ...config.sessions },
    reserve: { ...config.reserve },
  }
}

/** What the files of a list hold is known of all of them together. */
function sourcesDocument({ items, ranges }: SourceListConfig, file: ShownFile): readonly string[] {
  const content = [ranges.v4, ranges.v6].map(({ buffer }) => new Uint8Array(buffer))
  return items.map((item) => {
    const path = fileOfItem(item)
    return path === undefined ? item : fileItem(file(path, content))
  })
}

const rateOrUnlimited = (rate: number): string => (rate === Number.POSITIVE_INFINITY ? 'unlimited' : `${rate}/s`)

function rest({ token, tokens, hosts }: Config['admin']): Fields {
  return { token, tokens: tokens.map((each) => ({ ...each })), hosts: [...hosts] }
}

const node = ({ host, port }: RedisNode): string => formatAddress(host, port)

function redisDocument(redis: RedisConfig): Fields {
  const { username, password, tls, ca } = redis
  const login = { username, password, tls, ...(ca === '' ? {} : { ca }) }
  switch (redis.type) {
    case 'single':
      return { address: node(redis.address), database: redis.database, ...login }
    case 'sentinel': {
      const { name, sentinelUsername, sentinelPassword } = redis
      return { sentinels: redis.sentinels.map(node), name, sentinelUsername, sentinelPassword, ...login }
    }
    case 'cluster':
      return { nodes: redis.nodes.map(node), ...login }
  }
}

function vipDocument({ advertIntervalMs, ...vip }: VipConfig): Fields {
  return { ...vip, advertInterval: formatDuration(advertIntervalMs) }
}
