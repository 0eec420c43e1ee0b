import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'

/** Receives datagrams, which Node cannot, and prints each as a line of hexadecimal digits. */
const RECEIVER = `
use Socket;
$| = 1;
my $at = $ARGV[0];
$at =~ s/^@/\\0/;
socket(my $s, AF_UNIX, SOCK_DGRAM, 0) or die $!;
bind($s, pack_sockaddr_un($at)) or die $!;
print "bound\\n";
while (defined recv($s, my $message, 65536, 0)) { print unpack("H*", $message), "\\n" }`

/** Where a service manager takes messages, as systemd does at $NOTIFY_SOCKET. Needs perl. */
export class NotifySocket {
  /** A path, or a name in the abstract namespace, which begins with `@`. */
  readonly address: string
  /** What came, in order. */
  readonly messages: string[] = []
  readonly #child: ChildProcess

  private constructor(perl: string, address: string) {
    this.address = address
    this.#child = spawn(perl, ['-e', RECEIVER, address], { stdio: ['ignore', 'pipe', 'inherit'] })
  }

  static async open(
    t: { teardown(end: () => unknown): unknown },
    perl: string,
    address: string,
  ): Promise<NotifySocket> {
    const socket = new NotifySocket(perl, address)
    const lines = createInterface(socket.#child.stdout!)
    t.teardown(async () => {
      socket.#child.kill()
      await once(socket.#child, 'close')
    })
    await once(lines, 'line')
    lines.on('line', (line) => socket.messages.push(Buffer.from(line, 'hex').toString()))
    return socket
  }
}
