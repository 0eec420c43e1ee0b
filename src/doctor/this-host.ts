import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Host } from './finding.js'

const RUN_MS = 3_000

/** The host that this process runs on. */
export const THIS_HOST: Host = {
  read(path) {
    try {
      return readFileSync(path, 'utf8').trim()
    } catch {
      return undefined
    }
  },
  run(program, args) {
    const { status, stdout } = spawnSync(program, args, { encoding: 'utf8', timeout: RUN_MS })
    return status === 0 ? stdout.trim() : undefined
  },
  tryToWrite(directory) {
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    rmdirSync(mkdtempSync(join(directory, 'doctor-')))
  },
  nodeVersion: process.versions.node,
  isRoot: process.getuid?.() === 0,
  get nowMs() {
    return Date.now()
  },
}
