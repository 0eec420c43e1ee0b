import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { castor } from './castor.js'

const HAPROXY = `frontend web
  bind :8080
  mode http
  default_backend app
backend app
  mode http
  server a 127.0.0.1:9001
`

t.test('castor import writes the file, says what it could not translate, and exits by how much that is', async (t) => {
  const folder = t.testdir({
    'all.cfg': HAPROXY,
    'part.cfg': HAPROXY.replace('server a', 'filter trace\n  server a'),
    'nothing.cfg': 'frontend web\n  mode "http\n',
    'unknown.txt': 'hello\n',
  })
  const all = await castor(['import', join(folder, 'all.cfg')])
  t.equal(all.code, 0)
  t.equal(all.stderr, '')
  writeFileSync(join(folder, 'castor.yaml'), all.stdout)
  t.equal((await castor(['check', '-c', join(folder, 'castor.yaml')])).code, 0)

  const part = await castor(['import', join(folder, 'part.cfg'), '--from', 'haproxy'])
  t.equal(part.code, 1)
  t.equal(part.stderr, `${join(folder, 'part.cfg')}:7: not translated: filter trace: Castor has nothing like it\n`)
  t.equal(part.stdout, all.stdout.replace('all.cfg', 'part.cfg'))

  const nothing = await castor(['import', join(folder, 'nothing.cfg')])
  t.equal(nothing.code, 2)
  t.equal(nothing.stdout, '')
  t.match(nothing.stderr, /nothing\.cfg:2: not translated: the file: has a " without its end/)

  const json = await castor(['import', join(folder, 'part.cfg'), '--json'])
  t.equal(json.code, 1)
  const document = JSON.parse(json.stdout) as Record<string, unknown>
  t.equal(document.from, 'haproxy')
  t.equal(document.config, part.stdout)
  t.same(document.notTranslated, [{ line: 7, what: 'filter trace', why: 'Castor has nothing like it' }])
  t.equal(json.stderr, '')

  const unknown = await castor(['import', join(folder, 'unknown.txt')])
  t.equal(unknown.code, 2)
  t.match(unknown.stderr, /not clear which program.*--from haproxy/)
  t.equal((await castor(['import', join(folder, 'none.cfg')])).code, 2)
})
