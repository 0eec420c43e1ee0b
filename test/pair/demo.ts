// npm run pair:demo, as root: two balancers, their targets, Redis and a client in network namespaces on this machine, to
// play with. Commands come on standard input; Ctrl-C takes everything down.
import { createInterface } from 'node:readline'
import { whyNoNetwork } from './support/namespaces.js'
import { type HostName, Pair, SOURCES, VIP_A, VIP_B } from './support/pair.js'

const reason = whyNoNetwork(['ip', 'keepalived', 'redis-server'])
if (reason !== undefined) {
  console.error(`No pair can be made here: ${reason}.`)
  process.exit(1)
}

const pair = new Pair('1s')
const HELP = `
  kill a      kill the balancer of host a without a word      freeze a, thaw a   stop and continue it
  stop a      stop it in order                                start a            start it again
  cut a, mend a   its network cable                           ask                which target each of ${SOURCES.length} clients gets
  quit        take everything down`

async function stop(): Promise<void> {
  await pair.stop()
  process.exit(0)
}
process.on('SIGINT', stop)
process.on('SIGTERM', stop)

console.log('bringing up two hosts …')
await pair.start()
console.log(`lb-a has ${VIP_A}, lb-b has ${VIP_B}; three targets behind them, sessions by source address.

  ip netns exec ${pair.network.nameOf('c')} curl http://${VIP_A}/      asks as a client
  ip netns exec ${pair.network.nameOf('a')} npx castor status          asks host a how it is
${HELP}
`)

const owner = (address: string): string =>
  (['a', 'b'] as const)
    .filter((host) => pair.network.holds(host, address))
    .map((host) => `lb-${host}`)
    .join(' and ') || 'nobody'
let shown = ''
setInterval(() => {
  const now = `${VIP_A}: ${owner(VIP_A)}   ${VIP_B}: ${owner(VIP_B)}`
  if (now !== shown) console.log(now)
  shown = now
}, 200)

let before: readonly string[] | undefined
async function ask(): Promise<void> {
  const now = await pair.bound(VIP_A, SOURCES)
  const kept = before?.filter((target, i) => target === now[i]).length
  console.log(now.join(' '))
  if (kept !== undefined) console.log(`${kept} of ${SOURCES.length} on the target they were on before`)
  before = now
}

async function obey(line: string): Promise<void> {
  const [word, name] = line.trim().split(/\s+/)
  const host = name as HostName
  const needsHost = ['kill', 'freeze', 'thaw', 'stop', 'start', 'cut', 'mend'].includes(word ?? '')
  if (needsHost && host !== 'a' && host !== 'b') {
    console.log(`which host? ${word} a, or ${word} b`)
    return
  }
  switch (word) {
    case 'kill':
      return pair.signal(host, 'SIGKILL')
    case 'freeze':
      return pair.signal(host, 'SIGSTOP')
    case 'thaw':
      return pair.signal(host, 'SIGCONT')
    case 'stop':
      return pair.signal(host, 'SIGTERM')
    case 'start':
      return pair.startCastor(host)
    case 'cut':
      return pair.network.setLink(host, 'down')
    case 'mend':
      return pair.network.setLink(host, 'up')
    case 'ask':
      return ask()
    case 'quit':
      return stop()
    default:
      console.log(HELP)
  }
}
createInterface(process.stdin)
  .on('line', (line) => {
    obey(line).catch((error: unknown) => console.log(error instanceof Error ? error.message : error))
  })
  .on('close', stop)
