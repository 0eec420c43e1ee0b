import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { packageRoot } from '../../../src/cli/package-files.js'
import { castor } from './castor.js'

const MAIN = fileURLToPath(new URL('../../../src/main.js', import.meta.url))

interface Case {
  readonly args: readonly string[]
  readonly says: readonly RegExp[]
}

const cwd = t.testdir({})

const WRONG: readonly Case[] = [
  { args: ['statsu'], says: [/unknown command 'statsu'/, /Did you mean status\?/] },
  { args: ['start', '--dmeo'], says: [/unknown option '--dmeo'/, /Did you mean --demo\?/] },
  { args: ['check', '--confg', 'x'], says: [/unknown option '--confg'/, /Did you mean --config\?/] },
  { args: ['check', '-c'], says: [/argument missing/] },
  { args: ['check', 'castor.yaml'], says: [/too many arguments/, /castor check -c FILE/] },
  { args: ['start', 'castor.yaml'], says: [/too many arguments/, /castor start -c FILE/] },
  { args: ['bench', 'http://a/'], says: [/too many arguments/, /castor bench --url URL/] },
  { args: ['bench', '-c', '0'], says: [/'0' is invalid\. Write a whole number from 1 to 100000/] },
  { args: ['bench', '-d', '1.5'], says: [/'1\.5' is invalid/] },
  { args: ['bench', '--url', 'localhost'], says: [/'localhost' is invalid\. Write a URL like/] },
  { args: ['status', '--admin', 'nowhere'], says: [/--admin: "nowhere" has no port/] },
  { args: ['start', '--demo', '-c', 'x.yaml'], says: [/give either --demo or -c FILE/] },
  { args: ['reload', 'castor.yaml'], says: [/too many arguments/, /castor reload -c FILE/] },
  { args: ['diff', '--admin', 'nowhere'], says: [/--admin: "nowhere" has no port/] },
  { args: [], says: [/Usage: castor/, /^ {2}start {2,}run in/m] },
]

t.test('wrong usage exits 2, says what is wrong on stderr, and prints nothing on stdout', async (t) => {
  await Promise.all(
    WRONG.map(async ({ args, says }) => {
      const { code, stdout, stderr } = await castor(args, { cwd })
      t.equal(code, 2, args.join(' '))
      t.equal(stdout, '', args.join(' '))
      for (const pattern of says) t.match(stderr, pattern, args.join(' '))
    }),
  )
})
t.test('the version is the package’s', async (t) => {
  const { version } = JSON.parse(readFileSync(join(packageRoot(), 'package.json'), 'utf8')) as { version: string }
  t.same(await castor(['--version']), { code: 0, stdout: `${version}\n`, stderr: '' })
})

t.test('help fits into 80 columns', async (t) => {
  const commands = (await castor(['--help'])).stdout.match(/(?<=^ {2})(?!castor)[a-z-]+(?= {2,})/gm) ?? []
  t.ok(commands.length > 12)
  const pages = [[], ...commands.map((command) => [command]), ['target', 'add'], ['target', 'remove']]
  await Promise.all(
    pages.map(async (page) => {
      const { stdout } = await castor([...page, '--help'])
      for (const line of stdout.split('\n')) if (line.length > 80) t.fail(line)
    }),
  )
})

t.test('help names every command and shows examples', async (t) => {
  const help = await castor(['--help'])
  t.equal(help.code, 0)
  for (const command of ['start', 'check', 'schema', 'status', 'bench']) {
    t.match(help.stdout, new RegExp(`^ {2}${command}\\b`, 'm'))
    const own = await castor([command, '--help'])
    t.equal(own.code, 0)
    t.match(own.stdout, /Examples?:\n {2}castor /, command)
  }
})

t.test('the JSON Schema that is printed is the one that is shipped', async (t) => {
  const { code, stdout } = await castor(['schema'])
  t.equal(code, 0)
  t.equal(stdout, readFileSync(join(packageRoot(), 'config', 'schema.json'), 'utf8'))
})

t.test('a command whose reader has gone ends quietly', async (t) => {
  for (const args of ['schema', '--help', 'check --help']) {
    const { stderr } = spawnSync('bash', ['-c', `"$0" "$1" ${args} | true`, process.execPath, MAIN], {
      encoding: 'utf8',
    })
    t.equal(stderr, '', args)
  }
})
