/**
 * What the system answers to a dial where it is this host that lacks something: descriptors (EMFILE, ENFILE, ENOSPC of
 * epoll), ports (EADDRNOTAVAIL, EADDRINUSE, EAGAIN), memory (ENOMEM, ENOBUFS). It says nothing about the target. EPERM and
 * EACCES are not among them: a local rule forbids that one destination, which does not pass by waiting, and others may
 * be allowed.
 */
const SHORTAGES: ReadonlySet<string> = new Set([
  'EMFILE',
  'ENFILE',
  'ENOSPC',
  'EADDRNOTAVAIL',
  'EADDRINUSE',
  'EAGAIN',
  'ENOMEM',
  'ENOBUFS',
])

/** `name` as the system names errors, such as EMFILE. */
export function isLocalShortage(name: string | undefined): boolean {
  return name !== undefined && SHORTAGES.has(name)
}
