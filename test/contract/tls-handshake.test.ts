import { spawn, spawnSync } from 'node:child_process'
import { createHash, randomBytes, X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { Duplex } from 'node:stream'
import { type ConnectionOptions, connect } from 'node:tls'
import t from 'tap'
import { type ClientTlsConfig, type ServerTlsConfig, TICKET_KEY_BYTES } from '../../src/core/tls.js'
import { CertificateAuthority } from '../integration/support/certificate-authority.js'
import { IMPLEMENTATIONS } from './conn-rigs.js'
import { Recorder } from './recorder.js'
import { authority, credentials, echo, faultOf, identity, serverConfig, stranger, TlsRig } from './tls-rigs.js'

// What a handshake decides: certificates by name and key type, protocols, sessions, who is let in, and what went wrong.

const clientCertificates = (mode: 'request' | 'require'): Partial<ServerTlsConfig> => ({
  clientCertificates: { mode, ca: authority.cert },
})

for (const { name, available, traits, open } of IMPLEMENTATIONS.filter(({ traits }) => traits.speaksTls)) {
  t.test(name, { skip: !available && 'the addon is not built' }, async (t) => {
    let rig: TlsRig
    t.beforeEach(() => {
      rig = new TlsRig(open())
    })
    t.afterEach(() => rig.close())

    t.test('both sides say what was agreed on', async (t) => {
      const left = new Recorder()
      const right = new Recorder()
      const server = rig.server({ alpn: ['h2', 'http/1.1'] })
      const client = rig.client({ alpn: ['http/1.1', 'h2'] })
      const [dialled, accepted] = await rig.connect(left, right, server, client)
      for (const conn of [dialled, accepted]) {
        t.match(conn.tls, { version: 'TLSv1.3', alpn: 'h2', serverName: 'localhost', resumed: false })
        t.match(conn.tls?.cipher, /^TLS_/)
        t.match(conn.tls, { clientSubject: '', clientFingerprint: '' })
      }
      t.same(left.log, ['open'])
      t.same(right.log, ['open'])
    })

    t.test('the protocol is the first of ours that the client offers', async (t) => {
      const cases: [ours: string[], theirs: string[] | undefined, agreed: string | undefined][] = [
        [['h2', 'http/1.1'], ['http/1.1', 'h2'], 'h2'],
        [['h2', 'http/1.1'], ['http/1.1'], 'http/1.1'],
        [['h2'], undefined, ''],
        [[], ['h2'], ''],
        [['h2'], ['h3', 'http/1.1'], undefined],
      ]
      for (const [ours, theirs, agreed] of cases) {
        const right = new Recorder()
        const server = rig.server({ alpn: ours })
        const [socket, accepted] = await rig.peer(server, right, theirs === undefined ? {} : { ALPNProtocols: theirs })
        if (agreed === undefined) {
          await right.untilLogged('close')
          t.equal(faultOf(right), 'NO_SHARED_PROTOCOL')
        } else {
          await Promise.all([once(socket, 'secureConnect'), right.untilLogged('open')])
          t.equal(accepted.tls?.alpn, agreed)
          t.equal(socket.alpnProtocol || '', agreed)
        }
        socket.destroy()
      }
    })

    t.test('a name gets its certificate: exact before wildcard before the first', async (t) => {
      const named = (...names: string[]) => authority.issue(names)
      const server = rig.server({
        identities: [
          named('default.example'),
          named('*.shop.example'),
          named('www.shop.example', 'shop.example'),
          named('*.a.shop.example'),
        ],
      })
      const cases: [asked: string, served: string][] = [
        ['default.example', 'default.example'],
        ['www.shop.example', 'www.shop.example'],
        ['WWW.Shop.EXAMPLE', 'www.shop.example'],
        ['shop.example', 'www.shop.example'],
        ['api.shop.example', '*.shop.example'],
        ['b.a.shop.example', '*.a.shop.example'],
        ['c.b.a.shop.example', 'default.example'],
        ['unknown.example', 'default.example'],
        ['', 'default.example'],
        ['example', 'default.example'],
        ['.shop.example', 'default.example'],
      ]
      for (const [asked, served] of cases) {
        const right = new Recorder()
        const [socket, accepted] = await rig.peer(server, right, { servername: asked, rejectUnauthorized: false })
        await Promise.all([once(socket, 'secureConnect'), right.untilLogged('open')])
        t.equal(socket.getPeerCertificate().subject.CN, served, asked)
        t.equal(accepted.tls?.serverName, asked.toLowerCase())
        socket.destroy()
      }
    })

    t.test('RSA and ECDSA serve one name side by side', async (t) => {
      const server = rig.server({
        identities: [
          identity,
          authority.issue(['both.example'], { keyType: 'ecdsa' }),
          authority.issue(['both.example'], { keyType: 'rsa' }),
        ],
      })
      for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
        for (const [sigalgs, bits] of [
          ['ECDSA+SHA256', 256],
          ['RSA-PSS+SHA256:RSA+SHA256', 2048],
        ] as const) {
          if (bits === 256 && !traits.servesAllKeys) continue
          const right = new Recorder()
          const options = { servername: 'both.example', sigalgs, maxVersion, rejectUnauthorized: false }
          const [socket] = await rig.peer(server, right, options)
          await Promise.all([once(socket, 'secureConnect'), right.untilLogged('open')])
          t.equal((socket.getPeerCertificate() as { bits?: number }).bits, bits, `${maxVersion} ${sigalgs}`)
          socket.destroy()
        }
      }
    })

    t.test('a chain comes with its intermediates', async (t) => {
      const intermediate = new CertificateAuthority('in between', authority)
      const left = new Recorder()
      const server = rig.server({ identities: [intermediate.issue(['localhost'])] })
      await rig.connect(left, new Recorder(), server)
      t.same(left.log, ['open'])
    })

    t.test('a session begun at one server goes on at another with the same ticket keys', async (t) => {
      const keys = randomBytes(TICKET_KEY_BYTES)
      for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
        const first = rig.server({ maxVersion })
        const second = rig.server({ maxVersion })
        const other = rig.server({ maxVersion })
        first.setTicketKeys(keys)
        second.setTicketKeys(keys)
        const right = new Recorder({ data: (conn, buffer, length) => conn.write(buffer, 0, length) })
        const [socket] = await rig.peer(first, right)
        let session: Buffer | undefined
        socket.on('session', (ticket: Buffer) => {
          session = ticket
        })
        await once(socket, 'secureConnect')
        socket.write('x')
        await once(socket, 'data')
        socket.destroy()
        t.ok(session, `${maxVersion}: there is a ticket`)
        for (const [server, resumed] of [
          [second, true],
          [first, true],
          [other, false],
        ] as const) {
          const again = new Recorder()
          const [next, accepted] = await rig.peer(server, again, { session })
          await Promise.all([once(next, 'secureConnect'), again.untilLogged('open')])
          t.equal(next.isSessionReused(), resumed, maxVersion)
          t.equal(accepted.tls?.resumed, resumed)
          next.destroy()
        }
      }
    })

    t.test('without tickets there is nothing to come back with', async (t) => {
      for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
        const server = rig.server({ sessionTickets: false, maxVersion })
        const client = rig.client()
        for (let i = 0; i < 2; i++) {
          const right = new Recorder()
          const [dialled, accepted] = await rig.connect(new Recorder(), right, server, client)
          await rig.rig.settle()
          t.equal(accepted.tls?.resumed, false, maxVersion)
          dialled.close()
          await right.untilLogged('end')
        }
      }
    })

    t.test('a client comes back to an address with its last session', async (t) => {
      for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
        const server = rig.server({ maxVersion })
        const client = rig.client()
        const resumed: boolean[] = []
        for (let i = 0; i < 3; i++) {
          const left = new Recorder()
          const right = new Recorder({ data: (conn, buffer, length) => conn.write(buffer, 0, length) })
          const [dialled] = await rig.connect(left, right, server, client)
          dialled.write(Buffer.of(1), 0, 1)
          await left.untilBytes(1)
          resumed.push(dialled.tls?.resumed ?? false)
          dialled.close()
          await right.untilLogged('end')
        }
        // A ticket of TLS 1.3 serves once, and Node's server sends no other to who came with one.
        if (name === 'native to socket') t.equal(resumed[1], true, maxVersion)
        else t.same(resumed, [false, true, true], maxVersion)
      }
    })

    t.test('a client certificate is asked for, looked at, and told of', async (t) => {
      const subject = [
        ['C', 'DE'],
        ['O', 'Shop, "Süd"'],
        ['CN', 'alice'],
      ] as const
      const alice = authority.issue([], { client: true, subject })
      const leaf = new X509Certificate(alice.cert)
      const digest = createHash('sha256').update(leaf.raw).digest('hex')
      for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
        for (const mode of ['request', 'require'] as const) {
          const server = rig.server({ ...clientCertificates(mode), maxVersion })
          let session: Buffer | undefined
          for (const resumed of [false, true]) {
            const right = new Recorder({ data: (conn, buffer, length) => conn.write(buffer, 0, length) })
            const [socket, accepted] = await rig.peer(server, right, { ...credentials(alice), session })
            socket.on('session', (ticket: Buffer) => {
              session = ticket
            })
            await Promise.all([once(socket, 'secureConnect'), right.untilLogged('open')])
            const { tls } = accepted
            t.equal(tls?.clientSubject, 'CN=alice,O=Shop\\, \\"S\\C3\\BCd\\",C=DE', `${maxVersion} ${mode}`)
            t.equal(tls?.clientFingerprint, digest)
            t.equal(tls?.resumed, resumed)
            socket.write('x')
            await once(socket, 'data')
            socket.destroy()
          }
        }
      }
    })

    t.test('a client certificate that does not do is refused, and none only where one is required', async (t) => {
      const bob = stranger.issue(['bob'], { client: true })
      const late = authority.issueExpired(['late'], { client: true })
      const cases: [mode: 'request' | 'require', options: ConnectionOptions, fault: string][] = [
        ['request', {}, ''],
        ['require', {}, 'CERTIFICATE_REQUIRED'],
        ['request', credentials(bob), 'UNKNOWN_CA'],
        ['require', credentials(bob), 'UNKNOWN_CA'],
        ['request', credentials(late), 'CERTIFICATE_REJECTED'],
        ['require', credentials(late), 'CERTIFICATE_REJECTED'],
      ]
      for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
        for (const [mode, options, fault] of cases) {
          const right = new Recorder()
          const [socket] = await rig.peer(rig.server({ ...clientCertificates(mode), maxVersion }), right, options)
          await right.until(() => right.log.length > 0)
          if (fault === '') t.same(right.log, ['open'], `${maxVersion} ${mode}`)
          else {
            t.same(right.log, ['close TLS_HANDSHAKE_FAILED'])
            t.equal(faultOf(right), fault, `${maxVersion} ${mode}: ${right.cause?.message}`)
          }
          socket.destroy()
        }
      }
    })

    t.test('a session from where clients are not looked at is no pass', async (t) => {
      const keys = randomBytes(TICKET_KEY_BYTES)
      const open = rig.server()
      const guarded = rig.server(clientCertificates('require'))
      open.setTicketKeys(keys)
      guarded.setTicketKeys(keys)
      const right = new Recorder({ data: (conn, buffer, length) => conn.write(buffer, 0, length) })
      const [socket] = await rig.peer(open, right)
      let session: Buffer | undefined
      socket.on('session', (ticket: Buffer) => {
        session = ticket
      })
      await once(socket, 'secureConnect')
      socket.write('x')
      await once(socket, 'data')
      socket.destroy()
      const refused = new Recorder()
      const [again] = await rig.peer(guarded, refused, { session })
      await refused.untilLogged('close')
      t.equal(faultOf(refused), 'CERTIFICATE_REQUIRED')
      again.destroy()
    })

    t.test('a client sees whom it speaks to, or does not speak', async (t) => {
      const bare = authority.issue(['127.0.0.1'])
      const cases: [server: Partial<ServerTlsConfig>, client: Partial<ClientTlsConfig>, fault: string][] = [
        [{}, {}, ''],
        [{}, { serverName: '' }, ''],
        [{ identities: [bare] }, { serverName: '127.0.0.1' }, ''],
        [{ identities: [bare] }, {}, 'CERTIFICATE_REJECTED'],
        [{ identities: [authority.issue(['localhost'])] }, { serverName: '' }, 'CERTIFICATE_REJECTED'],
        [{}, { serverName: 'other.example' }, 'CERTIFICATE_REJECTED'],
        [{}, { serverName: 'other.example', verify: false }, ''],
        [{}, { ca: stranger.cert }, 'UNKNOWN_CA'],
        [{}, { ca: '' }, 'UNKNOWN_CA'],
        [{}, { ca: '', verify: false }, ''],
        [{ identities: [authority.issueExpired(['localhost'])] }, {}, 'CERTIFICATE_REJECTED'],
        [{ alpn: ['h2'] }, { alpn: ['http/1.1'] }, 'NO_SHARED_PROTOCOL'],
        [{ maxVersion: 'TLSv1.1', minVersion: 'TLSv1' }, {}, 'NO_SHARED_VERSION'],
      ]
      for (const [server, client, fault] of cases) {
        const left = new Recorder()
        const right = new Recorder()
        const accepting = rig.expect(rig.server(server), right)
        rig.rig.dialling.dial('127.0.0.1', await rig.rig.port(), left, rig.client(client))
        await Promise.all([accepting, left.until(() => left.log.length > 0), right.until(() => right.log.length > 0)])
        const what = `${JSON.stringify(client, ['serverName', 'verify', 'alpn'])} ${left.cause?.message}`
        if (fault === '') t.same(left.log, ['open'], what)
        else {
          t.same(left.log, ['close TLS_HANDSHAKE_FAILED'], what)
          t.equal(faultOf(left), fault, what)
          t.equal(left.cause?.retryable, true)
        }
      }
    })

    t.test('a client certificate is shown to the target', async (t) => {
      const { cert, key } = authority.issue(['castor'], { client: true })
      const right = new Recorder()
      const server = rig.server(clientCertificates('require'))
      const [, accepted] = await rig.connect(new Recorder(), right, server, rig.client({ cert, key }))
      t.equal(accepted.tls?.clientSubject, 'CN=castor')
    })

    t.test('an operator learns why a handshake failed', async (t) => {
      const hello = Buffer.from('160301', 'hex')
      const cases: [bytes: Buffer, fault: string][] = [
        [Buffer.from('GET / HTTP/1.1\r\nHost: a\r\n\r\n'), 'PLAIN_HTTP'],
        [Buffer.from('POST /x HTTP/1.1\r\n'), 'PLAIN_HTTP'],
        [Buffer.from('SSH-2.0-OpenSSH_9.2\r\n'), 'NOT_TLS'],
        [Buffer.alloc(600, 0xff), 'NOT_TLS'],
        [Buffer.concat([hello, Buffer.from([0, 4, 1, 0, 0, 0])]), 'PROTOCOL_ERROR'],
      ]
      for (const [bytes, fault] of cases) {
        const right = new Recorder()
        const [socket] = await rig.raw(rig.server(), right)
        socket.write(bytes)
        await right.untilLogged('close')
        t.equal(faultOf(right), fault, `${bytes.toString('latin1').slice(0, 20)}: ${right.cause?.message}`)
        socket.destroy()
      }
      for (const [options, fault] of [
        [{ maxVersion: 'TLSv1.1', minVersion: 'TLSv1', ciphers: 'DEFAULT:@SECLEVEL=0' }, 'NO_SHARED_VERSION'],
        [{ maxVersion: 'TLSv1.2', ciphers: 'AES128-SHA' }, 'NO_SHARED_CIPHER'],
        [{ ca: stranger.cert }, 'UNKNOWN_CA'],
      ] as const) {
        const right = new Recorder()
        const server = rig.server({ ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256' })
        const [socket] = await rig.peer(server, right, options)
        await right.untilLogged('close')
        // Node's client does not say what it thinks of a certificate: it goes away.
        const expected = fault === 'UNKNOWN_CA' ? /UNKNOWN_CA|CLIENT_CLOSED|no handshake error/ : new RegExp(fault)
        t.match(faultOf(right), expected, right.cause?.message ?? '')
        socket.destroy()
      }
    })

    t.test('a client that goes away in the middle is one that went away', async (t) => {
      for (const sent of [Buffer.alloc(0), Buffer.from('1603010200', 'hex')]) {
        for (const act of ['end', 'resetAndDestroy'] as const) {
          const right = new Recorder()
          const [socket] = await rig.raw(rig.server(), right)
          if (sent.length > 0) socket.write(sent)
          await rig.rig.settle()
          socket[act]()
          await right.untilLogged('close')
          t.equal(faultOf(right), 'CLIENT_CLOSED', `${act} after ${sent.length}`)
          socket.destroy()
        }
      }
    })

    t.test('a target that does not answer, or speaks no TLS, is a dial that failed', async (t) => {
      const left = new Recorder()
      rig.rig.dialling.dial('127.0.0.1', 1, left, rig.client())
      await left.untilLogged('close')
      t.same(left.log, ['close CONNECT_FAILED'])
      const plain = new Recorder()
      const answering = rig.rig.expect(
        new Recorder({
          data(conn) {
            const answer = Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')
            conn.write(answer, 0, answer.length)
          },
        }),
      )
      rig.rig.dialling.dial('127.0.0.1', await rig.rig.port(), plain, rig.client())
      await answering
      await plain.untilLogged('close')
      t.equal(faultOf(plain), 'NOT_TLS')
    })

    t.test('a hello that comes byte by byte, or in random pieces, is a hello', async (t) => {
      for (const most of [1, 40]) {
        const right = echo()
        const [socket] = await rig.raw(rig.server(), right)
        socket.setNoDelay(true)
        const dribble = new Duplex({
          read() {},
          write(chunk: Buffer, _encoding, done) {
            let at = 0
            const next = (): void => {
              if (at >= chunk.length) {
                done()
                return
              }
              socket.write(chunk.subarray(at, at + most), () => setImmediate(next))
              at += most
            }
            next()
          },
        })
        socket.on('data', (chunk: Buffer) => dribble.push(chunk))
        const client = connect({ socket: dribble, ca: authority.cert, servername: 'localhost' })
        await Promise.all([once(client, 'secureConnect'), right.untilLogged('open')])
        client.write('hello')
        t.equal(String((await once(client, 'data'))[0]), 'hello')
        socket.destroy()
        await right.untilLogged('close')
      }
    })

    t.test('certificates and rules that cannot be used are named', async (t) => {
      const other = authority.issue(['other.example'])
      const rsa = authority.issue(['rsa.example'], { keyType: 'rsa' })
      const encrypted = identity.key.replace(/PRIVATE KEY/g, 'ENCRYPTED PRIVATE KEY')
      const cases: [changes: Partial<ServerTlsConfig>, message: RegExp][] = [
        [{ identities: [] }, /no certificate/],
        [
          { identities: [identity, { ...other, key: identity.key }] },
          /certificate 2 \(other\.example\): the key is not/,
        ],
        [{ identities: [{ ...rsa, key: identity.key }] }, /the key is not/],
        [{ identities: [{ ...identity, cert: 'nonsense' }] }, /the certificate cannot be read/],
        [{ identities: [{ ...identity, key: '' }] }, /the key cannot be read/],
        [{ identities: [{ ...identity, key: encrypted }] }, /encrypted/],
        [{ ciphers: 'NONSENSE' }, /cipher/],
        [{ clientCertificates: { mode: 'require', ca: 'nonsense' } }, /CA|ca|PEM|start line/],
      ]
      for (const [changes, message] of cases) {
        t.throws(() => rig.rig.accepting.serverTls(serverConfig(changes)), {
          code: 'TLS_CONFIG',
          message,
        })
      }
      t.throws(() => rig.server().setTicketKeys(new Uint8Array(79)), { code: 'TLS_CONFIG' })
    })

    t.test('a context that was given up serves those who have it', async (t) => {
      const server = rig.rig.accepting.serverTls(serverConfig())
      const left = new Recorder()
      const right = new Recorder()
      const [dialled] = await rig.connect(left, right, server)
      server.dispose()
      server.dispose()
      dialled.write(Buffer.alloc(100_000, 1), 0, 100_000)
      await right.untilBytes(100_000)
      t.equal(right.bytes, 100_000)
    })

    t.test('openssl speaks with it', { skip: spawnSync('openssl', ['version']).status !== 0 }, async (t) => {
      for (const version of ['-tls1_2', '-tls1_3']) {
        const right = new Recorder({ data: (conn, buffer, length) => conn.write(buffer, 0, length) })
        const accepted = rig.expect(rig.server(), right)
        const port = await rig.rig.port()
        const options = ['s_client', '-connect', `127.0.0.1:${port}`, version, '-quiet', '-no_ign_eof']
        const child = spawn('openssl', options, { stdio: ['pipe', 'pipe', 'ignore'] })
        await accepted
        child.stdin.write('hello openssl\n')
        const [answer] = await once(child.stdout, 'data')
        t.equal(String(answer), 'hello openssl\n', version)
        child.stdin.write('Q\n')
        child.stdin.end()
        await right.untilLogged('end')
        if (traits.seesTruncation) t.equal(right.count('close'), 0)
        child.kill()
      }
    })
  })
}
