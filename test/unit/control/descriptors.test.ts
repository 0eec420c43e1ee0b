import t from 'tap'
import { openFileLimit, planDescriptors } from '../../../src/control/descriptors.js'

t.test('the open-file limit is read from what the system says', async (t) => {
  const cases: [string, number | undefined][] = [
    [
      'Limit                     Soft Limit           Hard Limit           Units\nMax open files            1024                 4096                 files\n',
      1024,
    ],
    [
      'Max processes             10                   10\nMax open files            1048576              1048576              files',
      1_048_576,
    ],
    ['Max open files            unlimited            unlimited            files', undefined],
    ['', undefined],
  ]
  for (const [text, expected] of cases) t.equal(openFileLimit(text), expected)
  t.ok(Number(openFileLimit()) > 0, 'also from this system')
})

t.test(
  'clients, targets and checks each have their part of the limit, and everything else has descriptors left',
  async (t) => {
    const cases: [
      fileLimit: number | undefined,
      workers: number,
      wanted: number | 'auto',
      clients: number,
      targets: number,
      checks: number,
    ][] = [
      [1_024, 1, 'auto', 424, 424, 64],
      [1_024, 4, 'auto', 400, 400, 64],
      [700, 2, 'auto', 264, 265, 43],
      [20_000, 2, 'auto', 9_424, 9_424, 1_024],
      [100, 1, 'auto', 16, 16, 16],
      [1_024, 1, 50, 50, 798, 64],
      [1_024, 1, 100_000, 636, 212, 64],
      [undefined, 4, 'auto', Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, 1_024],
      [undefined, 4, 100, 100, Number.POSITIVE_INFINITY, 1_024],
    ]
    for (const [fileLimit, workers, wanted, clients, targets, checks] of cases) {
      const plan = planDescriptors(fileLimit, workers, wanted)
      t.same(plan, { clients, targets, checks }, `${fileLimit} files, ${workers} workers, ${wanted}`)
      if (fileLimit !== undefined && fileLimit > 200) t.ok(clients + targets + checks + 96 <= fileLimit)
    }
  },
)
