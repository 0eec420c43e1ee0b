import { isIP } from 'node:net'
import type { AdminListen, Config, HostConfig, VipConfig } from '../core/config.js'

/** Priorities, of 255: the host that an address is preferred on, and the others in the order of `cluster.hosts`. */
const PREFERRED = 200
const OTHERS = 150
/**
 * The host that has an address tells its neighbours again, in seconds: one that missed it, or that heard the other host
 * last while the two did not see each other, would send to a host that no longer answers.
 */
const GARP_REFRESH_S = 3
const PREEMPT_DELAY_S = 2

export interface KeepalivedOptions {
  /** The script that asks whether this host is ready; an absolute path. */
  readonly readyScript: string
  /** Where the script asks: a Unix socket, or an address that can be connected to. */
  readonly admin: AdminListen
  /** Run with the VRRP state as its last argument whenever this host gets or loses an address; none if undefined. */
  readonly notify: string | undefined
}

/** This host's keepalived.conf for the addresses in `vips`: keepalived 2.0 or later, VRRP version 2 or 3. */
export function keepalivedConfig(config: Config, options: KeepalivedOptions): string {
  const { node, vips } = config
  const hosts = config.cluster?.hosts ?? []
  const self = hosts.find((host) => host.node === node)
  const others = hosts.filter((host) => host.node !== node)
  return [
    `# keepalived.conf of ${node}, written by: castor keepalived`,
    '# Put it in /etc/keepalived/ and reload keepalived; write it anew after every change of vips or hosts.',
    '',
    block('global_defs', [
      `router_id ${node}`,
      'enable_script_security',
      'script_user root',
      `vrrp_garp_master_refresh ${GARP_REFRESH_S}`,
      // IPv6, and intervals of less than a second, are of version 3.
      ...(vips.some((vip) => vip.advertIntervalMs % 1000 !== 0 || familyOf(vip) === 6) ? ['vrrp_version 3'] : []),
    ]),
    block('vrrp_script castor_ready', [
      `script "${options.readyScript} ${'path' in options.admin ? `unix:${options.admin.path}` : `${options.admin.address} ${options.admin.port}`}"`,
      'interval 1',
      'timeout 2',
      'fall 1',
      'rise 2',
    ]),
    ...vips.map((vip) => instance(vip, node, hosts, self, others, options)),
  ].join('\n')
}

function instance(
  vip: VipConfig,
  node: string,
  hosts: readonly HostConfig[],
  self: HostConfig | undefined,
  others: readonly HostConfig[],
  { notify }: KeepalivedOptions,
): string {
  const seconds = vip.advertIntervalMs / 1000
  // Without the script a host in fault could hold on to its address, so its outcome decides alone: weight 0.
  return block(`vrrp_instance castor_${vip.routerId}`, [
    'state BACKUP',
    `interface ${vip.interface}`,
    `virtual_router_id ${vip.routerId}`,
    `priority ${priorityOf(vip, node, hosts)}`,
    `advert_int ${seconds}`,
    `preempt_delay ${PREEMPT_DELAY_S}`,
    // Hosts speak to each other by the family of the address; by multicast where theirs is the other one.
    ...(self !== undefined && others.length > 0 && isIP(self.address) === familyOf(vip)
      ? [
          `unicast_src_ip ${self.address}`,
          ...block(
            'unicast_peer',
            others.map(({ address }) => address),
          )
            .trimEnd()
            .split('\n'),
        ]
      : []),
    ...block('virtual_ipaddress', [`${vip.address} dev ${vip.interface}`])
      .trimEnd()
      .split('\n'),
    ...block('track_script', ['castor_ready']).trimEnd().split('\n'),
    ...(notify === undefined ? [] : [`notify "${notify}"`]),
  ])
}

/** Whoever is not preferred takes over in the order of the list, the same on every host. */
function priorityOf({ prefer }: VipConfig, node: string, hosts: readonly HostConfig[]): number {
  if (prefer === node) return PREFERRED
  const place = hosts.findIndex((host) => host.node === node)
  return OTHERS - Math.max(0, place)
}

const familyOf = ({ address }: VipConfig): number => isIP(address.split('/')[0]!)

function block(head: string, lines: readonly string[]): string {
  return `${head} {\n${lines.map((line) => `    ${line}\n`).join('')}}\n`
}
