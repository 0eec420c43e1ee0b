import t from 'tap'
import { castorBefore } from './support/castor.js'
import { get, request } from './support/raw-client.js'

const NAMES = ['X-Client-Cert-Verified', 'X-Client-Cert-Subject', 'X-Client-Cert-Fingerprint']

t.test('what clients claim about certificates never reaches a target, also from a trusted proxy', async (t) => {
  for (const listener of [{}, { trustForwardedFrom: ['127.0.0.0/8'] }]) {
    const { target, port } = await castorBefore(t, {}, { listener })
    const spellings = NAMES.flatMap((name) => [
      name,
      name.toLowerCase(),
      name.replaceAll('-', '_'),
      name.replaceAll('-', '.'),
    ])
    await request(
      port,
      get('/', [
        ...spellings.map((name) => `${name}: SUCCESS`),
        'X-Client-Cert: kept',
        'X-Client-Certificate-Subject: kept',
      ]),
    )
    t.same(
      target.requests[0]!.fields.filter(([name]) => /client.cert/i.test(name)),
      [
        ['X-Client-Cert', 'kept'],
        ['X-Client-Certificate-Subject', 'kept'],
      ],
      'names of others are none of our business',
    )
  }
})
