import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import type { H2Stream } from '../../../../src/http/h2/engine.js'
import { toolOrSkip } from '../../../tools.js'
import { fieldList, OK, Recorder } from './rig.js'
import { Sockets } from './sockets.js'

const run = promisify(execFile)
const BODY = Buffer.alloc(20_000, 'body ')

/** Answers when the request is whole. */
class Answers extends Recorder {
  override onEnd(stream: H2Stream): void {
    stream.sendFields(fieldList([...OK, ['content-length', String(BODY.length)]]), false)
    stream.sendData(BODY, 0, BODY.length, true)
  }
}

t.test('h2load gets every answer, through many connections and streams', async (t) => {
  const h2load = toolOrSkip(t, 'h2load')
  if (h2load === undefined) return
  const sockets = new Sockets()
  const told = new Answers()
  t.teardown(() => sockets.close())
  const port = await sockets.listen(told)
  const { stdout } = await run(h2load, ['-n', '2000', '-c', '10', '-m', '50', `http://127.0.0.1:${port}/`])
  t.match(stdout, /2000 total, 2000 started, 2000 done, 2000 succeeded, 0 failed, 0 errored, 0 timeout/)
  t.equal(told.failure, undefined)
})

t.test('nghttp posts with padding, trailers and small windows, and gets what it was promised', async (t) => {
  const nghttp = toolOrSkip(t, 'nghttp')
  if (nghttp === undefined) return
  const folder = mkdtempSync(join(tmpdir(), 'castor-h2-'))
  const sockets = new Sockets()
  const told = new Answers()
  t.teardown(() => {
    sockets.close()
    rmSync(folder, { recursive: true })
  })
  const port = await sockets.listen(told)
  const file = join(folder, 'body')
  writeFileSync(file, BODY)
  const options = ['--padding=100', '--trailer=x-sum: 1', '--window-bits=10', '--connection-window-bits=12']
  const { stdout } = await run(nghttp, ['--data', file, ...options, `http://127.0.0.1:${port}/post`])
  t.equal(stdout, BODY.toString())
  t.ok(told.data.equals(BODY))
  t.same(told.fields[1], [['x-sum', '1']])
  t.equal(told.failure, undefined)
})
