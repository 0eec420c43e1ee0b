import { isIP } from 'node:net'
import type { Config } from '../core/config.js'
import type { Path } from './problems.js'
import { didYouMean } from './suggest.js'
import { type Entry, entries, type Fields, isFields, type Report, text } from './tree.js'
import { unique } from './unique.js'

/** What `cluster.hosts` and `vips` say together: what does not go together here would be found when a host fails. */
export function checkPair(root: Fields, report: Report): void {
  const hosts = isFields(root.cluster) ? entries(root.cluster, 'hosts', ['cluster']) : []
  const vips = entries(root, 'vips')
  const nodes = hosts.map(({ fields }) => text(fields.node)).filter((node) => node !== undefined)
  unique(hosts, ({ fields }) => text(fields.node), 'node', report)
  unique(hosts, ({ fields }) => text(fields.address), 'address', report)
  unique(vips, ({ fields }) => text(fields.address)?.split('/')[0], 'address', report)
  checkNamed(['node'], text(root.node), nodes, report)
  for (const { path, fields } of vips) checkNamed([...path, 'prefer'], text(fields.prefer), nodes, report)
  if (vips.length > 0) checkFamilies(hosts, report)
  const numbers = new Map<string, Path>()
  for (const { path, fields } of vips) {
    const key = `${String(fields.routerId)} on ${String(fields.interface)}`
    const before = numbers.get(key)
    if (before === undefined) numbers.set(key, path)
    else report([...path, 'routerId'], `${key} is already used by ${before.join('.')}; give each its own`)
  }
}

/** Where `node` is left out it is the host's own name, and the file may be checked on another host than it is for. */
export function warnOfUnnamedHost({ node, cluster }: Config, tree: unknown, warn: Report): void {
  if (!isFields(tree) || tree.node !== undefined) return
  const hosts = cluster?.hosts ?? []
  if (hosts.length === 0 || hosts.some((host) => host.node === node)) return
  warn(['cluster', 'hosts'], `does not name this host, ${node}; set node, or add it`)
}

const MAX_NAMES = 20

function checkNamed(path: Path, name: string | undefined, nodes: readonly string[], report: Report): void {
  if (name === undefined || nodes.length === 0 || nodes.includes(name)) return
  const rest = nodes.length > MAX_NAMES ? `, and ${nodes.length - MAX_NAMES} more` : ''
  const hint = didYouMean(name, nodes) || `; there are: ${nodes.slice(0, MAX_NAMES).join(', ')}${rest}`
  report(path, `no host in cluster.hosts is named "${name}"${hint}`)
}

/** keepalived's hosts send to each other from their own address, so that all need one of the same family. */
function checkFamilies(hosts: readonly Entry[], report: Report): void {
  const first = hosts.find(({ fields }) => familyOf(fields.address) !== 0)
  for (const { path, fields } of hosts) {
    const family = familyOf(fields.address)
    if (family === 0 || family === familyOf(first?.fields.address)) continue
    const theirs = family === 6 ? 'IPv6 and those before it IPv4' : 'IPv4 and those before it IPv6'
    report([...path, 'address'], `is ${theirs}; give all hosts addresses of one family`)
    return
  }
}

function familyOf(address: unknown): number {
  return isIP(text(address) ?? '')
}
