import autocannon from 'autocannon'
import { serveOrder } from '../serve-order.js'
import type { HttpLoadOptions, LoadResult } from './load.js'

// Drives HTTP/1.1 with autocannon, in a process of its own.
serveOrder<HttpLoadOptions, LoadResult>(async ({ port, connections, seconds, request }) => {
  const done = await autocannon({
    url: `${request.secure ? 'https' : 'http'}://127.0.0.1:${port}${request.path}`,
    ...(request.secure ? { tlsOptions: { rejectUnauthorized: false } } : {}),
    connections,
    duration: seconds,
    timeout: 10,
    method: request.bodyBytes > 0 ? 'POST' : 'GET',
    headers: { ...request.headers, ...(request.closeEach ? { connection: 'close' } : {}) },
    ...(request.bodyBytes > 0 ? { body: Buffer.alloc(request.bodyBytes, 'x') } : {}),
  })
  return { requests: done['2xx'], errors: done.errors + done.non2xx, seconds: done.duration }
})
