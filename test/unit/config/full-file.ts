/** Files in which, between them, every key is written, and none with the value that it has by default. */
export const FULL: readonly string[] = [
  `node: lb-x
workers: 3
log: { level: debug, format: pretty, access: /var/log/castor/access.log, audit: /var/log/castor/audit.log }
admin: { listen: [127.0.0.1:9911, "unix:/run/castor/admin.sock"], token: token-of-the-admin, tokens: [{ name: prometheus, token: token-of-prometheus, role: read }], hosts: [lb.example] }
drainDelay: 3s
shutdownTimeout: 90s
reload: onChange
stateDir: /srv/castor
watchdog: off
plugins:
  - { module: ./auth.mjs, name: auth, options: { realm: shop, list: [1, true] }, deadline: 2s, failurePolicy: open, targetGroups: [app], sha256: 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef }
listeners:
  - name: secure
    protocol: https
    listen: ["0.0.0.0:8443", "[::]:8443"]
    targetGroup: app
    tls:
      certificates: [{ cert: a.pem, key: a.key, domains: [a.example, "*.b.example"] }, { cert: c.pem, key: c.key }]
      policy: { minVersion: TLSv1.2, maxVersion: TLSv1.3, ciphers: "TLS_AES_128_GCM_SHA256:ECDHE-RSA-AES128-GCM-SHA256" }
      alpn: [h2, http/1.1]
      clientCertificates: { mode: require, ca: clients.pem }
      sessionTickets: off
      hsts: { maxAge: 31536000, includeSubDomains: true, preload: true }
      handshakeTimeout: 7s
    http2:
      maxConcurrentStreams: 99
      initialWindow: 96KiB
      connectionWindow: 2MiB
      headerTableSize: 8KiB
      rateWindow: 11s
      maxResets: 501
      maxRefusals: 1001
      maxSettings: 51
      maxPings: 50001
      maxPriorities: 2001
      maxUselessFrames: 1002
      maxWindowUpdates: 5001
      maxTinyFrames: 5002
      maxContinuations: 9
      maxOutboundQueue: 65KiB
      stallTimeout: 31s
      settingsTimeout: 12s
    keepAlive: { idle: 50s }
    idleTimeout: 45s
    halfClose: keep
    upgrades: [websocket, tcp]
    websocketIdleTimeout: 2h
    acceptProxyProtocol: [10.0.0.0/8]
    trustForwardedFrom: [10.1.0.0/16, "2001:db8::/32"]
    limits: { connections: 4000, requestsPerSecond: 900, bodyBytes: 5MiB }
    explainFrom: [10.2.0.0/16]
  - name: plain
    protocol: http
    listen: 0.0.0.0:8080
    redirectToHttps: { port: 8443, status: 307 }
    keepAlive: off
  - name: plain2
    protocol: http
    listen: 0.0.0.0:8081
    targetGroup: rpc
    http2: true
    rules:
      - name: split
        match: { host: "*.shop.example", path: [/a, /b/*], methods: [GET], headers: { X-Beta: "*", x-old: "!", x-id: "~^[0-9]+$" }, query: { v: "2" }, cookies: { lab: b }, sourceIp: [10.0.0.0/8] }
        forward: [{ targetGroup: rpc, weight: 90 }, { targetGroup: app, weight: 7 }]
        stickySplit: 90m
        timeouts: { response: 5m }
        plugins: [auth]
        rewrite: { path: "/new\${path}", host: "app.internal:8080", query: "v=2&\${query}", responses: true }
        requestHeaders: { set: { X-Tier: gold, X-Client: "\${client_ip}:\${client_port}" }, add: { X-Seen: "\${header.X-Id}" }, remove: [X-Debug] }
        responseHeaders: { set: { X-Served-By: "\${target}" }, add: { Vary: cookie }, remove: [Server] }
        mirror: { targetGroup: app, percent: 10, maxBody: 8KiB }
      - use: shared
      - match: { pathRegex: "^/v[0-9]/" }
        redirect: { status: 308, protocol: https, host: "www.\${host}", port: 8443, path: "/new\${path}", query: "q=\${query.q}" }
      - match: { path: /maintenance }
        respond: { status: 503, bodyFile: sorry.html, headers: { Content-Type: text/html } }
  - name: bytes
    protocol: tcp
    listen: 0.0.0.0:5432
    targetGroup: raw
    idleTimeout: off
  - name: sealed
    protocol: tls
    listen: 0.0.0.0:5433
    targetGroup: raw
    tls: { certificates: [{ cert: a.pem, key: a.key }], policy: modern, alpn: [xmpp-client] }
ruleSets: { shared: [{ match: { path: /hello }, respond: { body: hello } }] }
targetGroups:
  - name: app
    protocol: https
    tls: { ca: targets.pem, serverName: app.internal, cert: own.pem, key: own.key }
    algorithm: maglev
    hashOn: header:X-Tenant
    targets: [{ address: 127.0.0.1:9001, id: one, weight: 7 }, { address: "[2001:db8::5]:9001" }, { address: app.internal:9001, weight: 0 }]
    keepAlive: { idle: 30s }
    forwarded: { proto: false, port: false, host: false, vip: true, clientPort: true, rfc7239: true, via: true }
    tolerate: [bare-lf, short-status-line]
    retries: { attempts: 2, on: [connect-failure], budgetPercent: 30 }
    timeouts: { connect: 4s, response: 90s }
    failOpen: true
    healthCheck: { protocol: https, path: /up, host: up.example, port: 9002, interval: 4s, timeout: 2s, healthyThreshold: 2, unhealthyThreshold: 4, codes: "200-299,304", httpVersion: "1.0", verify: true, proxyProtocol: v1 }
    outlierDetection: { on: [connect, 5xx], failurePercent: 51, minRequests: 21, window: 12s, consecutiveFailures: 6, ejectFor: 31s, maxEjectedPercent: 40 }
    panicPercent: 40
    slowStart: 20s
    draining: 100s
    stickiness: { type: cookie, name: SHOP, maxAge: 600, sameSite: strict, domain: shop.example, secure: true }
    maxConnectionsPerTarget: 50
    queue: { size: 20, timeout: 2s }
  - name: rpc
    protocol: h2
    targets: []
    tls: { verify: false }
    http2: { rateWindow: 12s, maxResets: 501, maxSettings: 51, maxPings: 1001, maxUselessFrames: 1002, maxWindowUpdates: 5001, maxTinyFrames: 5002, pingAfter: 21s, pingTimeout: 11s }
    outlierDetection: off
    retries: off
    healthCheck: { protocol: off }
    stickiness: { type: app-cookie, name: SID, timeout: 2h }
  - name: raw
    protocol: tls
    targets: [{ address: 127.0.0.1:9009 }]
    proxyProtocol: v2
    healthCheck: { protocol: grpc, service: shop.v1.Cart, host: up.example, verify: true }
    stickiness: { type: source-ip, timeout: 400s, ipv6Prefix: 56 }
protection:
  headerTimeout: 9s
  firstByteTimeout: 8s
  bodyMinRate: 2KiB/s
  maxHeaderBytes: 16KiB
  maxHeaders: 100
  maxConnections: 5000
  allow: [10.1.0.0/16]
  deny: [192.0.2.0/24, "2001:db8::/32"]
  connectionsPerSource: 300
  newConnectionsPerSource: 50/s
  handshakesPerSource: 20/s
  requestsPerSource: 30/s
cluster:
  name: shop
  redis: { address: redis.internal:6379, database: 3, username: castor, password: password-of-redis, tls: true, ca: redis.pem }
  secret: secret-of-the-cluster
  heartbeat: 2s
  hosts: [{ node: lb-x, address: 10.0.0.1 }, { node: lb-y, address: 10.0.0.2 }]
vips: [{ address: 192.0.2.10/24, interface: eth0, prefer: lb-x, routerId: 51, advertInterval: 2s }]
sessions: { capacity: 6000 }
reserve: { targets: 12 }
`,
  `secret: secret-of-the-cookies
listeners: [{ name: web, protocol: http, listen: 127.0.0.1:8080, targetGroup: app, upgrades: any }, { name: plain, protocol: http, listen: 127.0.0.1:8081, targetGroup: app, redirectToHttps: true }]
targetGroups: [{ name: app, protocol: http, targets: [], stickiness: { type: cookie } }]
`,
  `listeners: [{ name: web, protocol: tcp, listen: 127.0.0.1:8080, targetGroup: app }]
targetGroups: [{ name: app, protocol: tcp, targets: [] }]
cluster: { name: shop, secret: secret-of-the-cluster, redis: { sentinels: [a.internal:26379], name: main, sentinelUsername: u, sentinelPassword: password-of-sentinels } }
`,
  `listeners: [{ name: web, protocol: tcp, listen: 127.0.0.1:8080, targetGroup: app }]
targetGroups: [{ name: app, protocol: tcp, targets: [] }]
cluster: { name: shop, secret: secret-of-the-cluster, redis: { nodes: [a.internal:6379, b.internal:6379] } }
`,
  `listeners: [{ name: web, protocol: tcp, listen: 127.0.0.1:8080, targetGroup: app }]
targetGroups: [{ name: app, protocol: tcp, targets: [] }]
cluster: { name: shop, secret: secret-of-the-cluster, redis: "rediss://castor:password-in-a-url@redis.internal:6380/2" }
`,
]

/** Every secret that is in them. */
export const SECRETS_IN_FULL = FULL.flatMap((text) => [...text.matchAll(/\b(?:secret|token|password)-[\w-]+/g)]).map(
  ([secret]) => secret,
)
