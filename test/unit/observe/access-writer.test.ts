import { readFileSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { AccessWriter } from '../../../src/observe/access-writer.js'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

t.test('off means that there is no writer', async (t) => {
  t.equal(await AccessWriter.open('off'), undefined)
})

t.test('chunks reach the file and are acknowledged with their length', async (t) => {
  const file = join(t.testdir({}), 'logs', 'access.log')
  const writer = (await AccessWriter.open(file))!
  const acknowledged = await new Promise<number>((resolve) => writer.write(bytes('{"a":1}\n'), resolve))
  t.equal(acknowledged, 8)
  renameSync(file, `${file}.1`)
  await writer.reopen()
  writer.write(bytes('{"a":2}\n'), () => {})
  await writer.close()
  t.equal(readFileSync(`${file}.1`, 'utf8'), '{"a":1}\n')
  t.equal(readFileSync(file, 'utf8'), '{"a":2}\n')
  t.equal(writer.writtenBytes, 16)
  t.equal(writer.droppedRecords, 0)
})

t.test('a full disk loses records, counts them, and still acknowledges', async (t) => {
  const failing: unknown[] = []
  const dropped: number[] = []
  const writer = (await AccessWriter.open('/dev/full', {
    onFailing: ({ code }) => failing.push(code),
    onDropped: (records) => dropped.push(records),
  }))!
  const acknowledged = await new Promise<number>((resolve) => writer.write(bytes('{}\n{}\n{}\n'), resolve))
  t.equal(acknowledged, 9)
  t.equal(writer.droppedRecords, 3)
  t.same(dropped, [3])
  t.same(failing, ['ENOSPC'])
  await writer.close()
})
