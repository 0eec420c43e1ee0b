import { closeSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { LogConfig } from '../../../src/core/config.js'
import { createLogger, createWorkerLogger, type Logger, openLogDestination } from '../../../src/observe/log.js'

const config: LogConfig = { level: 'info', format: 'json', access: 'off', audit: 'off' }

/** Runs `use` with a logger over a file, and gives what the file holds in the end. */
async function logged(
  file: string,
  settings: LogConfig,
  use: (log: Logger, write: (line: string) => void) => void,
): Promise<string> {
  const fd = openSync(file, 'w')
  const destination = openLogDestination(settings, fd)
  use(createLogger(settings, destination, { node: 'lb-a', thread: 'primary' }), (line) => destination.write(line))
  await destination.close()
  closeSync(fd)
  return readFileSync(file, 'utf8')
}

t.test('every line names its node and thread, also those of workers', async (t) => {
  const text = await logged(join(t.testdir({}), 'log'), config, (log, write) => {
    log.info('one')
    const worker = createWorkerLogger(config, write, { node: 'lb-a', thread: 'proxy-2' })
    worker.warn({ listener: 'web' }, 'two')
    worker.debug('below the level')
  })
  const lines = text.trimEnd().split('\n')
  t.match(
    lines.map((line) => JSON.parse(line)),
    [
      { level: 'info', node: 'lb-a', thread: 'primary', msg: 'one', time: /^\d{4}-\d\d-\d\dT.*Z$/ },
      { level: 'warn', node: 'lb-a', thread: 'proxy-2', msg: 'two', listener: 'web' },
    ],
  )
  t.equal(lines.length, 2)
})

t.test('pretty lines are for people, with the thread and the error behind them', async (t) => {
  const text = await logged(join(t.testdir({}), 'log'), { ...config, format: 'pretty' }, (log, write) => {
    createWorkerLogger(config, write, { node: 'lb-a', thread: 'proxy-1' }).error({ err: new Error('broken') }, 'failed')
    log.info('fine')
  })
  t.match(text, /ERROR: \[proxy-1\] failed/)
  t.match(text, /broken/)
  t.match(text, /INFO: \[primary\] fine/)
  t.notOk(text.includes('\u001b'), 'no colours where it is no terminal')
})

t.test('pretty lines hold nothing that a terminal would act upon, whoever put it there', async (t) => {
  const hostile = '\u001b]0;owned\u0007\u009b2J\u202e'
  const text = await logged(join(t.testdir({}), 'log'), { ...config, format: 'pretty' }, (log) => {
    log.warn({ reason: hostile, err: new Error(hostile) }, `Redis says ${hostile}\nINFO: all is well`)
  })
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it is about
  t.notMatch(text, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/)
  t.match(text, /\\u001b\]0;owned\\u0007\\u009b2J\\u202e/)
  t.notMatch(text, /^INFO/m, 'no line is made up')
  t.match(text, /\n +at /, 'the stack has its lines')
})

t.test('secrets that slip into a line are covered', async (t) => {
  const text = await logged(join(t.testdir({}), 'log'), config, (log) => {
    log.info({ token: 'S3CRET', admin: { token: 'S3CRET', listen: 'x' } }, 'a')
    log.info({ headers: { cookie: 'S3CRET', authorization: 'S3CRET', 'set-cookie': ['S3CRET'], host: 'y' } }, 'b')
    log.info({ tls: { key: 'S3CRET' }, password: 'S3CRET' }, 'c')
  })
  t.notMatch(text, /S3CRET/)
  t.match(text, /"listen":"x"/)
  t.match(text, /"host":"y"/)
})

t.test('silent writes nothing', async (t) => {
  t.equal(await logged(join(t.testdir({}), 'log'), { ...config, level: 'silent' }, (log) => log.fatal('x')), '')
})
