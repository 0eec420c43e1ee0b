import t from 'tap'
import { usableCores } from '../../../src/config/cores.js'

interface Case {
  readonly title: string
  readonly parallelism?: number
  readonly files: Readonly<Record<string, string>>
  readonly cores: number
}

const V2 = '/sys/fs/cgroup'

const CASES: readonly Case[] = [
  { title: 'no control groups at all', files: {}, cores: 8 },
  {
    title: 'v2 without a quota',
    files: { '/proc/self/cgroup': '0::/\n', [`${V2}/cpu.max`]: 'max 100000\n' },
    cores: 8,
  },
  {
    title: 'v2 in a container',
    files: { '/proc/self/cgroup': '0::/\n', [`${V2}/cpu.max`]: '200000 100000\n' },
    cores: 2,
  },
  {
    title: 'v2, part of a core is not counted',
    files: { '/proc/self/cgroup': '0::/\n', [`${V2}/cpu.max`]: '290000 100000\n' },
    cores: 2,
  },
  {
    title: 'v2, less than a core is one',
    files: { '/proc/self/cgroup': '0::/\n', [`${V2}/cpu.max`]: '50000 100000\n' },
    cores: 1,
  },
  {
    title: 'v2, a quota above the cores changes nothing',
    files: { '/proc/self/cgroup': '0::/\n', [`${V2}/cpu.max`]: '3200000 100000\n' },
    cores: 8,
  },
  {
    title: 'v2, the quota of a group above counts',
    files: {
      '/proc/self/cgroup': '0::/system.slice/castor.service\n',
      [`${V2}/system.slice/castor.service/cpu.max`]: 'max 100000\n',
      [`${V2}/system.slice/cpu.max`]: '300000 100000\n',
    },
    cores: 3,
  },
  {
    title: 'v2, the smallest of several quotas counts',
    files: {
      '/proc/self/cgroup': '0::/a/b\n',
      [`${V2}/a/b/cpu.max`]: '400000 100000\n',
      [`${V2}/a/cpu.max`]: '250000 50000\n',
    },
    cores: 4,
  },
  {
    title: 'v1 with its controllers in one mount',
    files: {
      '/proc/self/cgroup': '12:memory:/docker/x\n4:cpu,cpuacct:/docker/x\n1:name=systemd:/docker/x\n',
      [`${V2}/cpu,cpuacct/docker/x/cpu.cfs_quota_us`]: '150000\n',
      [`${V2}/cpu,cpuacct/docker/x/cpu.cfs_period_us`]: '50000\n',
    },
    cores: 3,
  },
  {
    title: 'v1 in a container that sees only its own group, as the root',
    files: {
      '/proc/self/cgroup': '4:cpu,cpuacct:/docker/x\n',
      [`${V2}/cpu/cpu.cfs_quota_us`]: '200000\n',
      [`${V2}/cpu/cpu.cfs_period_us`]: '100000\n',
    },
    cores: 2,
  },
  {
    title: 'v1 without a quota',
    files: {
      '/proc/self/cgroup': '4:cpu:/\n',
      [`${V2}/cpu/cpu.cfs_quota_us`]: '-1\n',
      [`${V2}/cpu/cpu.cfs_period_us`]: '100000\n',
    },
    cores: 8,
  },
  {
    title: 'cpuset is not cpu',
    files: {
      '/proc/self/cgroup': '4:cpuset:/\n',
      [`${V2}/cpuset/cpu.cfs_quota_us`]: '100000',
      [`${V2}/cpuset/cpu.cfs_period_us`]: '100000',
    },
    cores: 8,
  },
  { title: 'nonsense is no quota', files: { '/proc/self/cgroup': 'x\n0::/\n', [`${V2}/cpu.max`]: 'soon\n' }, cores: 8 },
  {
    title: 'a quota of nothing is no quota',
    files: { '/proc/self/cgroup': '0::/\n', [`${V2}/cpu.max`]: '0 100000\n' },
    cores: 8,
  },
  {
    title: 'fewer cores than the quota',
    parallelism: 2,
    files: { '/proc/self/cgroup': '0::/\n', [`${V2}/cpu.max`]: '400000 100000\n' },
    cores: 2,
  },
]

for (const { title, parallelism = 8, files, cores } of CASES) {
  t.test(title, (t) => {
    t.equal(usableCores({ read: (path) => files[path], parallelism }), cores)
    t.end()
  })
}

t.test('this machine has at least one core', (t) => {
  t.ok(usableCores() >= 1)
  t.end()
})
