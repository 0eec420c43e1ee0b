import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

/** Who listens on a port. */
export type PortHolder =
  | { readonly known: 'process'; readonly pid: number; readonly command: string }
  /** A socket listens, and its process cannot be seen; `uid` is the user that the socket belongs to. */
  | { readonly known: 'user'; readonly uid: number }
  /** Nothing can be said: /proc is not readable here, or whoever listened has gone. */
  | { readonly known: 'nothing' }

const LISTEN = '0A'
const MAX_COMMAND = 200

/**
 * Looks through /proc (proc_pid_net(5)) for whoever listens on the port at an address of this network namespace; this
 * process only where no other one has the socket, which both have in an upgrade.
 */
export function portHolder(port: number, proc = '/proc'): PortHolder {
  const sockets = ['tcp', 'tcp6'].flatMap((table) => listening(`${proc}/self/net/${table}`, port))
  if (sockets.length === 0) return { known: 'nothing' }
  const wanted = new Set(sockets.map(({ inode }) => `socket:[${inode}]`))
  const self = String(process.pid)
  for (const pid of [...list(proc).filter((name) => name !== self), self]) {
    if (!/^\d+$/.test(pid) || !list(`${proc}/${pid}/fd`).some((fd) => wanted.has(linkOf(`${proc}/${pid}/fd/${fd}`)))) {
      continue
    }
    return { known: 'process', pid: Number(pid), command: commandOf(`${proc}/${pid}`) }
  }
  return { known: 'user', uid: sockets[0]!.uid }
}

/** One row of the table each: `sl local remote state queues timer retransmits uid timeout inode`. */
function listening(table: string, port: number): { inode: string; uid: number }[] {
  const end = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  return textOf(table)
    .split('\n')
    .map((row) => row.trim().split(/\s+/))
    .filter((columns) => columns[1]?.endsWith(end) === true && columns[3] === LISTEN)
    .map((columns) => ({ inode: columns[9] ?? '', uid: Number(columns[7]) }))
}

/** Arguments as they were given; a process that has none, or whose command cannot be read, by its short name. */
function commandOf(folder: string): string {
  const command = textOf(`${folder}/cmdline`).split('\0').join(' ').trim() || textOf(`${folder}/comm`).trim()
  return command.length > MAX_COMMAND ? `${command.slice(0, MAX_COMMAND)}…` : command
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path)
  } catch {
    return ''
  }
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
