import t from 'tap'
import { parseConfig } from '../../../src/config/load.js'
import { buildDirectory, capacityFor } from '../../../src/control/directory.js'

const CONFIG = parseConfig(
  `
workers: 3
sessions: { capacity: 1000 }
reserve: { targets: 7 }
listeners:
  - { name: web, protocol: http, listen: "127.0.0.1:8080", targetGroup: app }
  - { name: also, protocol: http, listen: "127.0.0.1:8081", targetGroup: app }
  - { name: db, protocol: tcp, listen: "127.0.0.1:5432", targetGroup: data }
targetGroups:
  - name: unused
    protocol: http
    targets: []
  - name: app
    protocol: http
    targets: [{ address: "10.0.0.1:80", id: one }, { address: "app.example:80" }]
  - name: data
    protocol: tcp
    targets: [{ address: "[2001:db8::1]:5432" }, { address: "10.0.0.1:80", id: one }]
`,
  'test.yaml',
)

t.test('everything in the configuration gets a number, in its order', async (t) => {
  const directory = buildDirectory(CONFIG)
  t.same(directory, {
    listeners: ['web', 'also', 'db'],
    groups: ['unused', 'app', 'data'],
    series: [
      { listener: 0, group: 1 },
      { listener: 1, group: 1 },
      { listener: 2, group: 2 },
    ],
  })
  t.same(capacityFor(CONFIG, directory), {
    workers: 3,
    listeners: 3,
    series: 3,
    groups: 3,
    targets: 11,
    sessions: 1_000,
  })
})
