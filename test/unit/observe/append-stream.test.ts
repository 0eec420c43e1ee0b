import { execFileSync } from 'node:child_process'
import { closeSync, constants, existsSync, openSync, readFileSync, readSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { AppendStream } from '../../../src/observe/append-stream.js'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

/** Opens a named pipe for reading and writing without waiting for the other end. */
function pipe(folder: string): { read: number; write: number } {
  const path = join(folder, 'pipe')
  execFileSync('mkfifo', [path])
  const read = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  return { read, write: openSync(path, constants.O_WRONLY | constants.O_NONBLOCK) }
}

t.test('chunks are appended in order, in a folder that is made', async (t) => {
  const file = join(t.testdir({}), 'deep', 'er', 'a.log')
  const stream = await AppendStream.open(file)
  const settled: [number, boolean][] = []
  for (let i = 0; i < 500; i++) stream.write(bytes(`${i}\n`), (length, ok) => settled.push([length, ok]))
  await stream.flushed()
  t.equal(stream.bufferedBytes, 0)
  t.equal(readFileSync(file, 'utf8'), `${Array.from({ length: 500 }, (_, i) => i).join('\n')}\n`)
  t.equal(settled.length, 500)
  t.ok(settled.every(([, ok]) => ok))
  await stream.close()
  const again = await AppendStream.open(file)
  again.write(bytes('more\n'))
  await again.close()
  t.match(readFileSync(file, 'utf8'), /499\nmore\n$/)
  t.notOk(again.write(bytes('late\n')), 'a closed stream takes nothing')
})

t.test('a path that cannot be opened rejects with the reason of the system', async (t) => {
  await t.rejects(AppendStream.open('/proc/no/such/place'), { code: 'ENOENT' })
})

t.test('after a rotation, reopening goes on in a new file and loses nothing', async (t) => {
  const folder = t.testdir({})
  const file = join(folder, 'a.log')
  const stream = await AppendStream.open(file)
  stream.write(bytes('1\n'))
  await stream.flushed()
  renameSync(file, `${file}.1`)
  for (let i = 2; i < 200; i++) stream.write(bytes(`${i}\n`))
  await stream.reopen()
  stream.write(bytes('200\n'))
  await stream.close()
  const lines = (readFileSync(`${file}.1`, 'utf8') + readFileSync(file, 'utf8')).trimEnd().split('\n').map(Number)
  t.same(
    lines,
    Array.from({ length: 200 }, (_, i) => i + 1),
  )
  t.ok(readFileSync(file, 'utf8').endsWith('200\n'))
})

t.test('reopening that fails keeps the file it had', async (t) => {
  const folder = t.testdir({ logs: {} })
  const file = join(folder, 'logs', 'a.log')
  const stream = await AppendStream.open(file)
  renameSync(join(folder, 'logs'), join(folder, 'old'))
  closeSync(openSync(join(folder, 'logs'), 'w'))
  await t.rejects(stream.reopen())
  stream.write(bytes('on\n'))
  await stream.close()
  t.equal(readFileSync(join(folder, 'old', 'a.log'), 'utf8'), 'on\n')
})

t.test('a full disk is reported once, what is lost is counted, and writing goes on', async (t) => {
  const fd = openSync('/dev/full', 'w')
  const errors: unknown[] = []
  const stream = AppendStream.over(fd, { onFailing: ({ code }) => errors.push(code) })
  const settled: boolean[] = []
  for (let i = 0; i < 3; i++) {
    stream.write(bytes('lost\n'), (_, written) => settled.push(written))
    await stream.flushed()
  }
  t.same(errors, ['ENOSPC'])
  t.same(settled, [false, false, false])
  t.equal(stream.lostBytes, 15)
  t.equal(stream.lostChunks, 3)
  stream.write(bytes('lost\n'))
  stream.flushSync()
  t.pass('and flushing at exit returns')
  await stream.close()
  closeSync(fd)
})

t.test('a reader that went away loses its lines only; one that comes back gets those after', async (t) => {
  const folder = t.testdir({})
  const { read, write } = pipe(folder)
  const events: string[] = []
  const stream = AppendStream.over(write, {
    onFailing: ({ code }) => events.push(String(code)),
    onRecovered: (lost) => events.push(`recovered, ${lost} lost`),
  })
  closeSync(read)
  stream.write(bytes('nobody\n'))
  await stream.flushed()
  const again = openSync(join(folder, 'pipe'), constants.O_RDONLY | constants.O_NONBLOCK)
  stream.write(bytes('somebody\n'))
  await stream.close()
  const buffer = Buffer.alloc(100)
  t.equal(buffer.toString('latin1', 0, readSync(again, buffer)), 'somebody\n')
  t.same(events, ['EPIPE', 'recovered, 7 lost'])
  closeSync(again)
  closeSync(write)
})

t.test('a reader that stands still holds up only so much, and the rest is dropped and counted', async (t) => {
  const { read, write } = pipe(t.testdir({}))
  const stream = AppendStream.over(write, { maxBufferedBytes: 300_000 })
  const line = bytes(`${'x'.repeat(9_999)}\n`)
  let refused = 0
  for (let i = 0; i < 100; i++) if (!stream.write(line)) refused++
  t.equal(refused, 70)
  t.equal(stream.lostBytes, 700_000)
  const buffer = Buffer.alloc(65_536)
  let got = 0
  const drain = (): void => {
    try {
      got += readSync(read, buffer)
    } catch {}
    if (got < 300_000) setTimeout(drain, 5)
  }
  drain()
  await stream.flushed()
  while (got < 300_000) await new Promise((resolve) => setTimeout(resolve, 5))
  t.equal(got, 300_000)
  t.equal(stream.bufferedBytes, 0)
  await stream.close()
  closeSync(read)
  closeSync(write)
})

t.test('what waits at exit is written at once', async (t) => {
  const file = join(t.testdir({}), 'a.log')
  const code = `
    import { AppendStream } from ${JSON.stringify(new URL('../../../src/observe/append-stream.js', import.meta.url))}
    const stream = await AppendStream.open(${JSON.stringify(file)})
    process.on('exit', () => stream.flushSync())
    for (let i = 0; i < 1000; i++) stream.write(new TextEncoder().encode(i + '\\n'))
    await new Promise((resolve) => setImmediate(resolve))
    process.exit(0)`
  execFileSync(process.execPath, ['--input-type=module', '-e', code])
  t.ok(existsSync(file))
  t.equal(readFileSync(file, 'utf8').trimEnd().split('\n').length, 1000)
})
