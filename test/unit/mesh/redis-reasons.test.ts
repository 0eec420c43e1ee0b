import t from 'tap'
import { reasonOf } from '../../../src/mesh/redis-reasons.js'

const coded = (message: string, code: string): Error => Object.assign(new Error(message), { code })

for (const [what, cause, words] of [
  ['nobody listens', coded('connect ECONNREFUSED 127.0.0.1:1', 'ECONNREFUSED'), 'connection refused'],
  ['several addresses refuse', coded('', 'ECONNREFUSED'), 'connection refused'],
  ['an unknown name', coded('getaddrinfo ENOTFOUND redis', 'ENOTFOUND'), 'the name cannot be resolved'],
  ['no route', coded('connect EHOSTUNREACH', 'EHOSTUNREACH'), 'no route to it'],
  ['a reset', coded('read ECONNRESET', 'ECONNRESET'), 'connection reset'],
  ['a connect that takes too long', coded('connect ETIMEDOUT', 'ETIMEDOUT'), 'no answer'],
  ['a command without an answer', new Error('no answer within 2000 ms'), 'no answer'],
  ['a wrong password', new Error('WRONGPASS invalid username-password pair'), 'wrong password, or no such user'],
  ['no password', new Error('NOAUTH Authentication required.'), 'it asks for a password, and none is configured'],
  [
    'a right that is missing, as Redis 7 says it',
    new Error("NOPERM User castor has no permissions to run the 'xadd' command"),
    'its user is not authorised to run XADD',
  ],
  [
    'a right that is missing, as Redis 6 says it',
    new Error("NOPERM this user has no permissions to run the 'xadd' command or its subcommand"),
    'its user is not authorised to run XADD',
  ],
  [
    'keys that are not allowed',
    new Error('NOPERM No permissions to access a key'),
    'its user is not authorised for the keys castor:*',
  ],
  ['loading', new Error('LOADING Redis is loading the dataset in memory'), 'loading its data from disk'],
  [
    'full',
    new Error("OOM command not allowed when used memory > 'maxmemory'."),
    'out of memory: maxmemory is reached and its policy evicts nothing',
  ],
  [
    'a replica',
    new Error("READONLY You can't write against a read only replica."),
    'it is a replica, and takes no writes',
  ],
  ['too many clients', new Error('ERR max number of clients reached'), 'it has as many clients as it allows'],
  ['a closed connection', new Error('Connection is closed.'), 'connection lost'],
  [
    'a broken connection',
    new Error("Stream isn't writeable and enableOfflineQueue options is false"),
    'connection lost',
  ],
  ['retries that are used up', new Error('Reached the max retries per request limit'), 'connection lost'],
  [
    'sentinels that are down',
    new Error('All sentinels are unreachable and retry is disabled. Last error: connect ECONNREFUSED 127.0.0.1:1'),
    'no sentinel names a master (connection refused)',
  ],
  [
    'what a node of a cluster said last',
    Object.assign(new Error('Failed to refresh slots cache.'), {
      lastNodeError: new Error('NOAUTH Authentication required.'),
    }),
    'it asks for a password, and none is configured',
  ],
  [
    'a certificate of nobody',
    coded('self-signed certificate', 'DEPTH_ZERO_SELF_SIGNED_CERT'),
    'TLS: self-signed certificate',
  ],
  [
    'a stream whose ids are used up',
    new Error('ERR The stream has exhausted the last possible ID, unable to add more items'),
    'its stream was given the last id there is: delete the key castor:{NAME}:stream',
  ],
  [
    'codes that a terminal would act upon',
    new Error('ERR \u001b]0;owned\u0007\u009b2J\u202e\nRedis is there'),
    'ERR \\u001b]0;owned\\u0007\\u009b2J\\u202e\\u000aRedis is there',
  ],
  ['a text of megabytes', new Error('x'.repeat(3e6)), 'x'.repeat(200)],
  ['anything else', new Error('ERR something new'), 'ERR something new'],
  ['no error at all', 'odd', 'odd'],
] as const) {
  t.test(`${what}: ${words}`, async (t) => t.equal(reasonOf(cause), words))
}
