import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { request } from 'node:http'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { type Admin, startAdmin } from '../../../src/admin/server.js'
import { FakeFacts, SECRET } from './fake-facts.js'

/** A short path: a socket's must fit into 108 bytes. */
function folderFor(t: { teardown(end: () => unknown): unknown }): string {
  const folder = mkdtempSync(join(tmpdir(), 'castor-sock-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

function startAt(path: string, token = ''): Promise<Admin> {
  const facts = new FakeFacts({ listen: [{ path }, { address: '127.0.0.1', port: 0 }], token })
  return startAdmin({ config: facts.config.admin, facts })
}

function statusOf(socketPath: string, headers: Record<string, string> = {}): Promise<number> {
  return new Promise((resolve, reject) => {
    request({ socketPath, path: '/api/v1/status', headers, agent: false }, (response) => {
      resolve(response.resume().statusCode!)
    })
      .on('error', reject)
      .end()
  })
}

t.test('a Unix socket serves beside TCP, is open to this user only, and goes at the end', async (t) => {
  const folder = folderFor(t)
  const path = join(folder, 'admin.sock')
  const admin = await startAt(path)
  t.equal(statSync(path).mode & 0o777, 0o600)
  t.same(readdirSync(folder), ['admin.sock'], 'nothing else is left there')
  t.same(admin.listening[0], { path })
  t.not(admin.port, 0)
  t.equal(await statusOf(path), 200)
  t.equal(await statusOf(path, { host: 'lb.example' }), 200)
  t.equal(await statusOf(path, { origin: 'http://evil.example' }), 403, 'a proxy may stand before it')
  await admin.close()
  t.notOk(existsSync(path))
})

t.test('a token counts there as well', async (t) => {
  const path = join(folderFor(t), 'admin.sock')
  const admin = await startAt(path, SECRET)
  t.teardown(() => admin.close())
  t.equal(await statusOf(path), 401)
  t.equal(await statusOf(path, { authorization: `Bearer ${SECRET}` }), 200)
})

t.test('a socket that a dead process left is replaced', async (t) => {
  const path = join(folderFor(t), 'admin.sock')
  const script = `require('net').createServer().listen(process.argv[1], () => process.kill(process.pid, 'SIGKILL'))`
  spawnSync(process.execPath, ['-e', script, path])
  const before = lstatSync(path)
  t.ok(before.isSocket())
  const admin = await startAt(path)
  t.teardown(() => admin.close())
  t.equal(await statusOf(path), 200)
  t.not(lstatSync(path).ino, before.ino)
})

t.test('a socket on which a process listens is refused, and stays that process’s', async (t) => {
  const path = join(folderFor(t), 'admin.sock')
  const other = createServer((socket) => socket.end()).listen(path)
  await once(other, 'listening')
  t.teardown(() => other.close())
  const { ino } = lstatSync(path)
  await t.rejects(startAt(path), { code: 'LISTEN_FAILED', message: `admin: cannot listen on unix:${path}: a process` })
  t.equal(lstatSync(path).ino, ino)
})

t.test('what is no socket is never replaced', async (t) => {
  const folder = folderFor(t)
  writeFileSync(join(folder, 'admin.sock'), 'precious')
  mkdirSync(join(folder, 'folder'))
  symlinkSync('admin.sock', join(folder, 'link'))
  for (const name of ['admin.sock', 'folder', 'link']) {
    await t.rejects(
      startAt(join(folder, name)),
      { code: 'LISTEN_FAILED', message: /something else than a socket/ },
      name,
    )
  }
  t.equal(readFileSync(join(folder, 'admin.sock'), 'utf8'), 'precious')
  await t.rejects(startAt(join(folder, 'missing/admin.sock')), {
    code: 'LISTEN_FAILED',
    message: /the directory .*missing does not exist/,
  })
})

t.test('where one address cannot be had, none is kept', async (t) => {
  const path = join(folderFor(t), 'admin.sock')
  const taken = createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  t.teardown(() => taken.close())
  const { port } = taken.address() as { port: number }
  const facts = new FakeFacts({ listen: [{ path }, { address: '127.0.0.1', port }] })
  await t.rejects(startAdmin({ config: facts.config.admin, facts }), { code: 'LISTEN_FAILED' })
  t.notOk(existsSync(path))
})

t.test('a stop leaves the socket that a newer process has put in its place', async (t) => {
  const folder = folderFor(t)
  const path = join(folder, 'admin.sock')
  const older = await startAt(path)
  renameSync(path, join(folder, 'older.sock'))
  const newer = await startAt(path)
  t.teardown(() => newer.close())
  await older.close()
  t.equal(await statusOf(path), 200)
})
