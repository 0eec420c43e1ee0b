import type { ListenSpec } from '../core/acceptor.js'
import { RECORD_LISTENER, RECORD_WORDS } from '../core/connection-record.js'
import { CastorError } from '../core/errors.js'
import type { WholeAddon } from '../native/addon.js'
import { NativeAcceptor } from '../net/native-acceptor.js'
import type { Logger } from '../observe/log.js'
import type { SocketOpener, WantedBind } from './bind.js'
import { SharedListeningSockets } from './shared-listening.js'

/** Long enough for a burst of thousands between two turns of the loop; the kernel cuts it to its own limit. */
const BACKLOG = 4096

/** Sockets that this thread accepts from. `onAccepted` gets batches of records that name the slot of their bind. */
export function nativeSockets(
  addon: WholeAddon,
  log: Logger,
  onAccepted: (records: Int32Array, count: number) => void,
): SocketOpener {
  const acceptor = new NativeAcceptor(addon)
  return {
    async open(wanted, slot, inherited, sharing) {
      const { keepAliveSeconds } = wanted
      const given = inherited === undefined ? {} : { fd: adopt(addon, inherited.fd, keepAliveSeconds) }
      for (const { fd } of sharing) addon.sharePort(fd, 1)
      const opening = acceptor.listen(
        { ...spec(wanted), ...given, besides: sharing.length > 0 },
        {
          onAccepted: ({ records, count }) => {
            for (let i = 0; i < count; i++) records[i * RECORD_WORDS + RECORD_LISTENER] = slot
            onAccepted(records, count)
          },
          onOutOfDescriptors: (pausedMs) => log.warn({ pausedMs }, 'out of file descriptors: new connections wait'),
        },
      )
      const listening = await opening.finally(() => {
        for (const { fd } of sharing) addon.sharePort(fd, 0)
      })
      listening.pause()
      return { ...listening, setKeepAlive: (seconds) => adopt(addon, listening.fd, seconds) }
    },
    close() {},
  }
}

/** Sockets that workers accept from, without the addon. There TCP keepalive is set on each connection. */
export function sharedSockets(): SocketOpener {
  let sockets: SharedListeningSockets | undefined
  return {
    async open(wanted) {
      sockets ??= new SharedListeningSockets()
      const { address, port, duplicate, close } = await sockets.open(spec(wanted))
      const none = (): void => {}
      return {
        fd: -1,
        address,
        port,
        duplicate,
        close,
        mute: () => false,
        pause: none,
        resume: none,
        setKeepAlive: none,
      }
    },
    close: () => sockets?.close(),
  }
}

/** Gives the socket the listener's options, which connections get from it. */
function adopt(addon: WholeAddon, fd: number, keepAliveSeconds: number): number {
  const error = addon.adoptListening(fd, BACKLOG, keepAliveSeconds)
  if (error >= 0) return fd
  throw new CastorError('LISTEN_FAILED', `an inherited socket cannot be used: ${addon.errorName(error)}`)
}

function spec({ address, port, keepAliveSeconds }: WantedBind): ListenSpec {
  return { address, port, keepAliveSeconds, backlog: BACKLOG, ipv6Only: true, deferAcceptSeconds: 0 }
}
