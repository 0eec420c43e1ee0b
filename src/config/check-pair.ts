import type { Path } from './problems.js'
import { didYouMean } from './suggest.js'
import { entries, type Fields, isFields, type Report, text } from './tree.js'
import { unique } from './unique.js'

/** What `cluster.hosts` and `vips` say together: what does not go together here would be found when a host fails. */
export function checkPair(root: Fields, report: Report): void {
  const hosts = isFields(root.cluster) ? entries(root.cluster, 'hosts', ['cluster']) : []
  const vips = entries(root, 'vips')
  const nodes = hosts.map(({ fields }) => text(fields.node)).filter((node) => node !== undefined)
  unique(hosts, ({ fields }) => text(fields.node), 'node', report)
  unique(hosts, ({ fields }) => text(fields.address), 'address', report)
  unique(vips, ({ fields }) => text(fields.address)?.split('/')[0], 'address', report)
  for (const { path, fields } of vips) {
    const prefer = text(fields.prefer)
    if (prefer === undefined || nodes.length === 0 || nodes.includes(prefer)) continue
    const hint = didYouMean(prefer, nodes) || `; there are: ${nodes.slice(0, MAX_NAMES).join(', ')}`
    report([...path, 'prefer'], `no host in cluster.hosts is named "${prefer}"${hint}`)
  }
  const numbers = new Map<string, Path>()
  for (const { path, fields } of vips) {
    const key = `${String(fields.routerId)} on ${String(fields.interface)}`
    const before = numbers.get(key)
    if (before === undefined) numbers.set(key, path)
    else report([...path, 'routerId'], `${key} is already used by ${before.join('.')}; give each its own`)
  }
}

const MAX_NAMES = 20
