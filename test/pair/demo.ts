// npm run pair:demo, as root: two balancers, their targets, Redis and a client in network namespaces on this machine, to
// play with. Commands come on standard input; Ctrl-C takes everything down, and the next start what a kill left behind.
import { createInterface } from 'node:readline'
import { removeLeftovers } from './support/leftovers.js'
import { whyNoNetwork } from './support/namespaces.js'
import { type HostName, Pair, SOURCES, VIP_A, VIP_B } from './support/pair.js'

const reason = whyNoNetwork(['ip', 'keepalived', 'redis-server'])
if (reason !== undefined) {
  console.error(`No pair can be made here: ${reason}.`)
  process.exit(1)
}

if (removeLeftovers() > 0) console.log('took down what an earlier pair left behind when it was killed')
const pair = new Pair('1s')
const HELP = `
  kill a      kill the balancer of host a without a word      freeze a, thaw a   stop and continue it
  stop a      stop it in order                                start a            start it again
  cut a, mend a   its network cable                           ask                which target each of ${SOURCES.length} clients gets
  quit        take everything down`

/** An impatient second Ctrl-C must not end the first one's work half way. */
let stopping: Promise<void> | undefined
async function stop(code = 0): Promise<void> {
  stopping ??= pair.stop()
  await stopping
  process.exit(code)
}
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => void stop())

console.log('bringing up two hosts …')
try {
  await pair.start()
} catch (error) {
  if (stopping === undefined) console.error(`${error instanceof Error ? error.message : error}\n${pair.log}`)
  await stop(1)
}
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
      // A second one would find the port taken, and the first would be out of reach.
      if (pair.isRunning(host)) return console.log(`host ${host} runs; kill or stop it first, or thaw it`)
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
  .on('close', () => void stop())
