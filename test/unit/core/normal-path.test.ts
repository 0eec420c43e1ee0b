import fc from 'fast-check'
import t from 'tap'
import { normalizePath } from '../../../src/core/normal-path.js'
import { SEED } from '../../random.js'

t.comment(`seed ${SEED}`)

t.test('RFC 3986 6.2.2: a path as rules compare it', async (t) => {
  for (const [path, normal] of [
    ['/', '/'],
    ['', '/'],
    ['/a/b', '/a/b'],
    ['/a/b/', '/a/b/'],
    ['//a///b//', '/a/b/'],
    ['/a/./b', '/a/b'],
    ['/a/../b', '/b'],
    ['/a/b/..', '/a/'],
    ['/a/b/.', '/a/b/'],
    ['/..', '/'],
    ['/../../a', '/a'],
    ['/a/.../b', '/a/.../b'],
    ['/.hidden/..x', '/.hidden/..x'],
    ['/%61%2D%2e%5F%7e', '/a-._~'],
    ['/%2e%2E/a', '/a'],
    ['/a/%2e%2e/b', '/b'],
    ['/a%2fb', '/a%2Fb'],
    ['/a%2F..%2Fb', '/a%2F..%2Fb'],
    ['/%2561', '/%2561'],
    ['/%252e%252e/a', '/%252e%252e/a'],
    ['/%c3%a9', '/%C3%A9'],
    ['/a%20b', '/a%20b'],
    ['/A', '/A'],
    ['/a//../b', '/b'],
    ['/a/..//b', '/b'],
    ['*', '/*'],
  ] as const) {
    t.equal(normalizePath(path), normal, path)
  }
})

t.test('a normal path stays as it is, and names no parent, empty segment or needless escape', async () => {
  const part = fc.constantFrom('a', 'B', '.', '..', '%2e', '%2F', '%61', '%C3', '/', '//', '', '~', '%25')
  fc.assert(
    fc.property(fc.array(part, { maxLength: 12 }), (parts) => {
      const normal = normalizePath(`/${parts.join('')}`)
      return normalizePath(normal) === normal && !/\/\/|\/\.\.?(\/|$)|%2e|%61/i.test(normal) && normal.startsWith('/')
    }),
    { seed: SEED, numRuns: 2000 },
  )
})
