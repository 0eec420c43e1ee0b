import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import type { Test } from './castor.js'

/** A network between one host and a server that can be cut without a word: nothing gets through, and nothing is closed. */
export class CuttableProxy {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #cut = false

  private constructor(targetPort: number) {
    this.#server = createServer((near) => {
      const far = connect(targetPort, '127.0.0.1')
      for (const [from, to] of [
        [near, far],
        [far, near],
      ] as const) {
        this.#sockets.add(from)
        from.on('error', () => {})
        // What is sent into a cut network is lost, and its connection with it.
        from.on('data', (data) => {
          if (!this.#cut) to.write(data)
        })
        from.on('close', () => {
          this.#sockets.delete(from)
          to.destroy()
        })
      }
    })
  }

  static async start(t: Test, targetPort: number): Promise<CuttableProxy> {
    const proxy = new CuttableProxy(targetPort)
    proxy.#server.listen(0, '127.0.0.1')
    await once(proxy.#server, 'listening')
    t.teardown(() => {
      proxy.#server.close()
      for (const socket of proxy.#sockets) socket.destroy()
    })
    return proxy
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  cut(): void {
    this.#cut = true
  }

  /** The network is back; connections that lost something on their way are reset, as their ends would find out. */
  mend(): void {
    this.#cut = false
    for (const socket of this.#sockets) socket.resetAndDestroy()
  }
}
