import { execFileSync } from 'node:child_process'
import { closeSync, openSync, writeFileSync, writeSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from './castor.js'

/** Adds what a file says, in milliseconds, to the wall clock of the process that loads it, and to no other clock. */
const SHIM = `
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile int64_t *ahead_ms;

__attribute__((constructor)) static void begin(void) {
  const char *name = getenv("CASTOR_TEST_CLOCK");
  int fd = name ? open(name, O_RDONLY) : -1;
  void *at = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof *ahead_ms, PROT_READ, MAP_SHARED, fd, 0);
  if (at != MAP_FAILED) ahead_ms = at;
}

int clock_gettime(clockid_t id, struct timespec *now) {
  int error = (int)syscall(SYS_clock_gettime, id, now);
  if (error || ahead_ms == NULL || (id != CLOCK_REALTIME && id != CLOCK_REALTIME_COARSE)) return error;
  now->tv_sec += *ahead_ms / 1000;
  return 0;
}

int gettimeofday(struct timeval *now, void *zone) {
  (void)zone;
  struct timespec read;
  clock_gettime(CLOCK_REALTIME, &read);
  now->tv_sec = read.tv_sec;
  now->tv_usec = read.tv_nsec / 1000;
  return 0;
}

time_t time(time_t *into) {
  struct timespec read;
  clock_gettime(CLOCK_REALTIME, &read);
  if (into) *into = read.tv_sec;
  return read.tv_sec;
}
`

/** The wall clock of processes started with `env`, which can be set while they run. The machine's own is left alone. */
export class SteppedClock {
  readonly env: NodeJS.ProcessEnv
  readonly #file: string

  private constructor(library: string, file: string) {
    this.env = { LD_PRELOAD: library, CASTOR_TEST_CLOCK: file }
    this.#file = file
  }

  /** `compiler`: the C compiler's path. */
  static async make(t: Test, compiler: string): Promise<SteppedClock> {
    const folder = await mkdtemp(join(tmpdir(), 'castor-test-'))
    t.teardown(() => rm(folder, { recursive: true, force: true }))
    const [source, library, file] = ['clock.c', 'clock.so', 'ahead'].map((name) => join(folder, name)) as [
      string,
      string,
      string,
    ]
    writeFileSync(source, SHIM)
    execFileSync(compiler, ['-shared', '-fPIC', '-O1', '-o', library, source])
    const clock = new SteppedClock(library, file)
    writeFileSync(file, Buffer.alloc(8))
    return clock
  }

  /** From now on the clock is so far ahead of the machine's; whole seconds. */
  set(aheadMs: number): void {
    const bytes = Buffer.alloc(8)
    bytes.writeBigInt64LE(BigInt(aheadMs))
    const fd = openSync(this.#file, 'r+')
    writeSync(fd, bytes, 0, 8, 0)
    closeSync(fd)
  }
}
