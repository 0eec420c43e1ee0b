// Runs in a process of its own: the whole balancer with the configuration file it is given, and threads that can be killed.
import { fileURLToPath } from 'node:url'
import { BroadcastChannel } from 'node:worker_threads'
import { loadConfig } from '../../src/config/load.js'
import { startCastor } from '../../src/control/assemble.js'
import { FAULTS } from './faulty-worker.js'

export type ToBalancer = { readonly kill: number } | 'stop'
export type FromBalancer = { readonly port: number; readonly adminPort: number }

const castor = await startCastor(loadConfig(process.argv[2]!), {
  workerFile: fileURLToPath(new URL('./faulty-worker.js', import.meta.url)),
})
const faults = new BroadcastChannel(FAULTS)
faults.unref()
process.on('message', (message: ToBalancer) => {
  if (message === 'stop') void castor.stop().then(() => process.disconnect())
  else faults.postMessage(message.kill)
})
const started: FromBalancer = { port: castor.listeners[0]!.port, adminPort: castor.admin.port }
process.send!(started)
