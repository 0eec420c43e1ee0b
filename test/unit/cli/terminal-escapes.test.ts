import t from 'tap'
import { adminDoor, askAdmin, streamAdmin } from '../../../src/cli/admin-client.js'
import { castor, serve } from './castor.js'

/** The title of the window, a new line, a C1 control, and text that runs backwards: as JSON escapes, and as they are. */
const HOSTILE = '\\u001b]0;owned\\u0007\\u009b2J\\u202e\\r\u009b2J\u202e'
// biome-ignore lint/suspicious/noControlCharactersInRegex: what is looked for
const OBEYED = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e]/
const ERROR = `{"error":{"code":"X","message":"no ${HOSTILE}"}}`
const STATUS = `{"node":"${HOSTILE}","version":"1","uptimeMs":1,"state":"running","health":"degraded","problems":["${HOSTILE}"],"workers":[],"listeners":[],"targetGroups":[]}`

/** Where that is what everybody is answered. */
async function answering(code: number, body: string): Promise<string> {
  const { server, address } = await serve((_, response) => response.writeHead(code).end(body))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return address
}

const messageOf = (cause: unknown): string => (cause as Error).message

/** What commands show of an answer. */
const SHOWN: readonly (readonly [
  what: string,
  code: number,
  body: string,
  show: (admin: string) => Promise<string>,
])[] = [
  ['a text in it', 200, `"${HOSTILE}"`, async (admin) => JSON.parse((await ask(admin)).text) as string],
  ['one that is no JSON', 500, HOSTILE, async (admin) => (await ask(admin)).text],
  ['a refusal', 403, ERROR, (admin) => ask(admin).then(() => '', messageOf)],
  ['a step of many', 200, `"${HOSTILE}"\n`, async (admin) => JSON.parse((await steps(admin))[0]!) as string],
  ['the refusal of many', 409, ERROR, (admin) => steps(admin).then(() => '', messageOf)],
]

const ask = (admin: string) => askAdmin(adminDoor({ admin }), 'GET', '/')

async function steps(admin: string): Promise<string[]> {
  const lines: string[] = []
  for await (const line of streamAdmin(adminDoor({ admin }), 'POST', '/', {})) lines.push(line)
  return lines
}

for (const [what, code, body, show] of SHOWN) {
  t.test(`of the admin API’s answers commands show nothing that a terminal would obey: ${what}`, async (t) => {
    const shown = await show(await answering(code, body))
    t.notMatch(shown, OBEYED, JSON.stringify(shown))
    t.match(shown, '2J', 'and what came is shown')
  })
}

t.test('nor does castor status', async (t) => {
  const { stdout, stderr } = await castor(['status', '--admin', await answering(200, STATUS)])
  t.notMatch(stdout + stderr, OBEYED, JSON.stringify(stdout))
  t.match(stdout, '\\u001b]0;owned')
})
