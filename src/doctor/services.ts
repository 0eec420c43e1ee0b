import type { ServerFacts } from '../mesh/redis-facts.js'
import type { Finding, Host } from './finding.js'

/** Clocks of hosts that share a cluster may differ by so much before shared limits and sessions show it. */
const CLOCK_MS = 500

/** What the host's clock is kept by. */
export function clockFinding(host: Host): Finding {
  const what = 'clock'
  const synchronized = host.run('timedatectl', ['show', '-p', 'NTPSynchronized', '--value'])
  if (synchronized === 'yes') return { what, grade: 'ok', found: 'synchronized' }
  if (host.run('chronyc', ['-n', 'waitsync', '1', '0', '0', '0.1']) !== undefined)
    return { what, grade: 'ok', found: 'synchronized by chrony' }
  if (synchronized === undefined)
    return { what, grade: 'unknown', found: 'no timedatectl and no chronyc that could tell' }
  return {
    what,
    grade: 'warn',
    found: 'not synchronized',
    advice: 'certificates are judged and hosts compared by it',
    commands: ['timedatectl set-ntp true', 'apt install chrony'],
  }
}

/** keepalived moves the addresses of `vips` between hosts. */
export function keepalivedFinding(host: Host, vips: number): Finding {
  const what = 'keepalived'
  if (vips === 0) return { what, grade: 'ok', found: 'not needed: the configuration has no vips' }
  const commands = [
    'apt install keepalived',
    'castor keepalived > /etc/keepalived/keepalived.conf',
    'systemctl enable --now keepalived',
  ]
  const advice = 'nobody moves the addresses of vips when this host is gone'
  // It writes its version to standard error, and only whether it is there counts.
  if (host.run('sh', ['-c', 'command -v keepalived']) === undefined)
    return { what, grade: 'fail', found: 'not installed', advice, commands }
  if (host.run('pidof', ['keepalived']) === undefined)
    return { what, grade: 'fail', found: 'installed, and not running', advice, commands: commands.slice(1) }
  return { what, grade: 'ok', found: 'running' }
}

/** The kernel drops whom Castor blocks where it may. */
export function nftablesFinding(host: Host): Finding {
  const what = 'nftables'
  const found = host.run('nft', ['--version'])
  if (found === undefined)
    return {
      what,
      grade: 'warn',
      found: 'nft is not installed',
      advice: 'addresses that attack can be dropped by hand only with another tool',
      commands: ['apt install nftables'],
    }
  return { what, grade: 'ok', found: found.split('\n')[0]! }
}

/** `redis` is what was found of it, the reason why nothing was, or undefined without a cluster. */
export function redisFindings(redis: ServerFacts | string | undefined): readonly Finding[] {
  const what = 'Redis'
  if (redis === undefined) return [{ what, grade: 'ok', found: 'not needed: this host is alone' }]
  if (typeof redis === 'string')
    return [
      {
        what,
        grade: 'fail',
        found: `does not answer: ${redis}`,
        advice: 'this host serves, and shares neither sessions nor health with the others',
        commands: ['redis-cli -u REDIS_URL ping'],
      },
    ]
  const findings: Finding[] = [
    { what, grade: 'ok', found: `version ${redis.version}, answers in ${redis.roundTripMs.toFixed(1)} ms` },
  ]
  if (redis.evicts !== '')
    findings.push({
      what: 'memory of Redis',
      grade: 'fail',
      found: `evicts by ${redis.evicts} when it is full`,
      advice: 'what hosts tell each other may be thrown away before it is read',
      commands: ['redis-cli config set maxmemory-policy noeviction', 'redis-cli config rewrite'],
    })
  if (Math.abs(redis.aheadMs) > CLOCK_MS)
    findings.push({
      what: 'clock of Redis',
      grade: 'warn',
      found: `${Math.round(Math.abs(redis.aheadMs))} ms ${redis.aheadMs > 0 ? 'ahead of' : 'behind'} this host`,
      advice: 'one of the two is wrong',
      commands: ['timedatectl set-ntp true   # on both'],
    })
  return findings
}
