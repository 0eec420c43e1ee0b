import { spawn, spawnSync } from 'node:child_process'
import { chmodSync, cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { packageRoot } from '../../../src/cli/package-files.js'
import { castor, SMALL_CONFIG } from './castor.js'

const CLUSTER = 'name: shop, redis: redis://127.0.0.1:6379, secret: 0123456789abcdef'
const HOSTS =
  'hosts: [{ node: lb-a, address: 10.0.0.1 }, { node: lb-b, address: 10.0.0.2 }, { node: lb-c, address: 10.0.0.3 }]'
const VIP_A = '{ address: 192.0.2.10/24, interface: eth0, prefer: lb-a, routerId: 51 }'
const VIP_B = '{ address: 192.0.2.11/24, interface: eth0, prefer: lb-b, routerId: 52, advertInterval: 200ms }'
const pair = (node: string): string =>
  `node: ${node}\n${SMALL_CONFIG}cluster: { ${CLUSTER}, ${HOSTS} }\nvips: [${VIP_A}, ${VIP_B}]\n`

const cwd = t.testdir({
  'lb-a.yaml': pair('lb-a'),
  'lb-b.yaml': pair('lb-b'),
  'lb-c.yaml': pair('lb-c'),
  'stranger.yaml': pair('lb-z'),
  'unnamed.yaml': pair('lb-a').replace('node: lb-a\n', ''),
  'multicast.yaml': `node: lb-a\n${SMALL_CONFIG}vips: [${VIP_A}]\n`,
  'none.yaml': SMALL_CONFIG,
  'family.yaml': pair('lb-a').replace('10.0.0.2', '2001:db8::2'),
})

/** The lines of one block of the file, without what is around them. */
function blockOf(text: string, head: string): string[] {
  const lines = text.split('\n')
  const from = lines.indexOf(`${head} {`)
  return lines.slice(from + 1, lines.indexOf('}', from)).map((line) => line.trim())
}

async function printed(file: string): Promise<string> {
  // Where the tests run others than root may write: that is warned of.
  const { code, stdout } = await castor(['keepalived', '-c', file], { cwd })
  t.equal(code, 0, file)
  return stdout
}

t.test('each address is preferred by one host, and the others stand in in the order of the list', async (t) => {
  const priorities = new Map<string, string[]>()
  for (const node of ['lb-a', 'lb-b', 'lb-c']) {
    const text = await printed(`${node}.yaml`)
    for (const id of [51, 52]) {
      const priority = blockOf(text, `vrrp_instance castor_${id}`).find((line) => line.startsWith('priority '))!
      priorities.set(node, [...(priorities.get(node) ?? []), priority])
    }
  }
  t.same(Object.fromEntries(priorities), {
    'lb-a': ['priority 200', 'priority 150'],
    'lb-b': ['priority 149', 'priority 200'],
    'lb-c': ['priority 148', 'priority 148'],
  })
})

t.test('hosts speak to each other directly where they are known, else by multicast', async (t) => {
  const known = blockOf(await printed('lb-b.yaml'), 'vrrp_instance castor_51')
  t.ok(known.includes('unicast_src_ip 10.0.0.2'))
  t.same(known.slice(known.indexOf('unicast_peer {') + 1, known.indexOf('unicast_peer {') + 3), [
    '10.0.0.1',
    '10.0.0.3',
  ])
  t.notMatch(await printed('multicast.yaml'), /unicast/)
})

t.test('the address, its interface and how often its host says so', async (t) => {
  const lines = blockOf(await printed('lb-a.yaml'), 'vrrp_instance castor_52')
  for (const line of ['interface eth0', 'virtual_router_id 52', 'advert_int 0.2', '192.0.2.11/24 dev eth0']) {
    t.ok(lines.includes(line), line)
  }
})

t.test('keepalived itself takes the file, but for an interface that is not here', async (t) => {
  if (spawnSync('keepalived', ['--version']).error) {
    t.pass('keepalived is not installed', { skip: true })
    return
  }
  const { code } = await castor(['keepalived', '-c', 'lb-a.yaml', '-o', 'keepalived.conf', '--notify', '/bin/true'], {
    cwd,
  })
  t.equal(code, 0)
  const file = join(cwd, 'keepalived.conf')
  t.match(readFileSync(file, 'utf8'), /notify "\/bin\/true"/)
  const { stdout, stderr } = spawnSync('keepalived', ['-t', '-f', file], { encoding: 'utf8' })
  const complaints = `${stdout}${stderr}`
    .split('\n')
    .filter((line) => line !== '' && !/eth0|Unknown interface/.test(line))
  t.same(complaints, [])
})

for (const [file, problem] of [
  ['none.yaml', 'none.yaml: vips: is empty; name the addresses that clients use'],
  ['stranger.yaml', 'stranger.yaml:1:7: node: no host in cluster.hosts is named "lb-z" (did you mean "lb-a"?)'],
  ['unnamed.yaml', `unnamed.yaml: cluster.hosts: does not name this host, ${hostname()}; set node, or add it`],
  [
    'family.yaml',
    /^family\.yaml:\d+:\d+: cluster\.hosts\.1\.address: is IPv6 and those before it IPv4; give all hosts addresses of one family$/,
  ],
] as const) {
  t.test(`${file} is refused`, async (t) => {
    const { code, stdout, stderr } = await castor(['keepalived', '-c', file], { cwd })
    t.same({ code, stdout }, { code: 2, stdout: '' })
    t.match(stderr.trimEnd(), problem)
  })
}

t.test('the script that keepalived runs says whether this host is ready', async (t) => {
  const script = join(packageRoot(), 'scripts/castor-ready')
  let status = 200
  const server = createServer((_, response) => response.writeHead(status).end())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const silent = createTcpServer(() => {})
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.close()
    server.closeAllConnections()
    silent.close()
  })
  const { port } = server.address() as AddressInfo
  const ask = (at: number): Promise<number | null> =>
    new Promise((resolve) => spawn(script, ['127.0.0.1', String(at)], { stdio: 'ignore' }).on('exit', resolve))
  t.equal(await ask(port), 0, '200')
  status = 503
  t.equal(await ask(port), 1, '503')
  t.equal(await ask((silent.address() as AddressInfo).port), 1, 'no answer')
  t.equal(await ask(1), 1, 'nobody there')
})

t.test('it asks over the Unix socket where there is one, also without the program for it', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'castor-ready-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const socket = join(folder, 'admin.sock')
  writeFileSync(join(cwd, 'socket.yaml'), `${pair('lb-a')}admin: { listen: [127.0.0.1:9900, "unix:${socket}"] }\n`)
  const [line = ''] = blockOf(await printed('socket.yaml'), 'vrrp_script castor_ready')
  const [, script = '', question = ''] = /^script "([^ ]+) ([^ ]+)"$/.exec(line) ?? []
  t.equal(question, `unix:${socket}`)
  // As on a host without a compiler: nothing beside the script.
  const alone = join(folder, 'castor-ready')
  cpSync(script, alone)

  let status = 200
  const server = createServer((request, response) => response.writeHead(request.url === '/readyz' ? status : 500).end())
  const silent = createTcpServer(() => {})
  await new Promise<void>((resolve) => server.listen(socket, resolve))
  await new Promise<void>((resolve) => silent.listen(join(folder, 'silent'), resolve))
  t.teardown(() => {
    server.close()
    server.closeAllConnections()
    silent.close()
  })
  for (const program of [script, alone]) {
    const ask = (at: string): Promise<number | null> =>
      new Promise((resolve) => spawn(program, [`unix:${at}`], { stdio: 'ignore' }).on('exit', resolve))
    status = 200
    t.equal(await ask(socket), 0, '200')
    status = 503
    t.equal(await ask(socket), 1, '503')
    t.equal(await ask(join(folder, 'silent')), 1, 'no answer')
    t.equal(await ask(join(folder, 'nobody')), 1, 'nobody there')
    t.equal(await ask('/x'.repeat(200)), 1, 'a path that no socket can have')
  }
})

const HOSTILE = [
  ['a comment in an interface', ['interface: eth0', 'interface: "eth0!x"'], 'must be the name of a network interface'],
  ['a block in an interface', ['interface: eth0', 'interface: "eth0{"'], 'must be the name of a network interface'],
  ['a second directive in an interface', ['interface: eth0', 'interface: "a\\n}"'], 'must be the name of a network'],
  ['a zone in an address', ['192.0.2.10/24', '"fe80::1%eth0/64"'], 'is not an address with its prefix length'],
  ['a zone in a host’s address', ['10.0.0.2', '"fe80::2%eth0"'], 'an IP address, without a zone'],
  ['one address twice', ['192.0.2.11', '192.0.2.10'], '"192.0.2.10" is already used by vips.0'],
  ['one router id twice', ['routerId: 52', 'routerId: 51'], '51 on eth0 is already used by vips.0'],
] as const

t.test('nothing leaves its place in the file', async (t) => {
  await Promise.all(
    HOSTILE.map(async ([what, [from, to], complaint], index) => {
      const file = `hostile-${index}.yaml`
      writeFileSync(join(cwd, file), pair('lb-a').replace(from, to))
      const { code, stdout, stderr } = await castor(['keepalived', '-c', file], { cwd })
      t.same({ code, stdout }, { code: 2, stdout: '' }, what)
      t.match(stderr, complaint)
    }),
  )
})

t.test('a command that would end its quotes, or be cut at a comment, is refused', async (t) => {
  const commands = ['/bin/a" }', '/bin/a\nscript_user root', '/bin/a #b', '/bin/a $HOME', '/bin/ä']
  await Promise.all(
    commands.map(async (notify) => {
      const { code, stdout, stderr } = await castor(['keepalived', '-c', 'lb-a.yaml', '--notify', notify], { cwd })
      t.same({ code, stdout }, { code: 2, stdout: '' }, notify)
      t.match(stderr, /--notify: .* put it into a script/)
    }),
  )
})

t.test('an IPv6 address is written as the system shows it', async (t) => {
  const six = pair('lb-a')
    .replaceAll(/10\.0\.0\.(\d)/g, '"2001:db8::$1"')
    .replaceAll(/192\.0\.2\.(\d+)\/24/g, '"2001:DB8:0::00$1/064"')
  writeFileSync(join(cwd, 'six.yaml'), six)
  t.ok(blockOf(await printed('six.yaml'), 'vrrp_instance castor_51').includes('2001:db8::10/64 dev eth0'))
})

t.test('addresses of both families go together; those of the other family than the hosts’ by multicast', async (t) => {
  const both = pair('lb-a').replace('192.0.2.11/24', '"2001:db8::11/64"')
  writeFileSync(join(cwd, 'both.yaml'), both)
  const text = await printed('both.yaml')
  t.match(text, /^ {4}vrrp_version 3$/m)
  t.ok(blockOf(text, 'vrrp_instance castor_51').includes('unicast_src_ip 10.0.0.1'))
  const other = blockOf(text, 'vrrp_instance castor_52')
  t.ok(other.includes('2001:db8::11/64 dev eth0'))
  t.notOk(other.some((line) => line.startsWith('unicast')))
  if (spawnSync('keepalived', ['--version']).error) return
  writeFileSync(join(cwd, 'both.conf'), text)
  const { stdout, stderr } = spawnSync('keepalived', ['-t', '-f', join(cwd, 'both.conf')], { encoding: 'utf8' })
  const complaints = `${stdout}${stderr}`.split('\n').filter((line) => /famil|version|ipv6|castor_5/i.test(line))
  t.same(
    complaints.filter((line) => !/eth0|interface/i.test(line)),
    [],
  )
})

t.test('a script that others than root could change is warned of, with what to do', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'castor-script-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  chmodSync(folder, 0o777)
  const script = join(folder, 'castor-ready')
  writeFileSync(script, '#!/bin/sh\n', { mode: 0o755 })
  const run = (path: string) => castor(['keepalived', '-c', 'lb-a.yaml', '--ready-script', path], { cwd })
  const open = await run(script)
  t.equal(open.code, 0)
  const said = new RegExp(`^warning: keepalived will not run ${script}.*others than root can write to (\\S+)`)
  const [, place = 'nowhere'] = said.exec(open.stderr) ?? []
  t.ok(script.startsWith(`${place}/`), `one of the folders that it lies in is named: ${place}`)
  t.match(open.stderr, /add: --ready-script \/usr\/local\/sbin\/castor-ready/)
  t.match(open.stdout, `script "${script} 127.0.0.1 9900"`)
  const safe = await run('/bin/sh')
  t.same({ code: safe.code, stderr: safe.stderr }, { code: 0, stderr: '' })
})

t.test(
  'over a Unix socket the copied script needs its program or curl: what is missing is said, with the command',
  async (t) => {
    writeFileSync(join(cwd, 'unix.yaml'), `${pair('lb-a')}admin: { listen: ["unix:/run/castor/admin.sock"] }\n`)
    const run = async (script: string, path = process.env.PATH ?? '') =>
      (await castor(['keepalived', '-c', 'unix.yaml', '--ready-script', script], { cwd, env: { PATH: path } })).stderr
    const folder = mkdtempSync(join(tmpdir(), 'castor-script-'))
    t.teardown(() => rmSync(folder, { recursive: true, force: true }))
    chmodSync(folder, 0o777)
    const script = join(folder, 'castor-ready')
    const program = join(folder, 'castor-ready-unix')
    writeFileSync(script, '#!/bin/sh\n', { mode: 0o755 })
    t.notMatch(await run(script), /castor-ready-unix/, 'there is none to copy')
    writeFileSync(program, '#!/bin/sh\n', { mode: 0o755 })
    t.match(
      await run(script),
      `  with its program: install -m 755 ${program} /usr/local/sbin/castor-ready-unix\n  and add: --ready-script`,
    )
    // A script that is root's alone, as after the first command.
    t.match(
      await run('/bin/sh', folder),
      /^warning: \/bin\/sh cannot ask over \/run\/castor\/admin\.sock, and this host/,
    )
    writeFileSync(join(folder, 'curl'), '#!/bin/sh\n', { mode: 0o755 })
    t.equal(await run('/bin/sh', folder), '')
  },
)
