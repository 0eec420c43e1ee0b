export { loadConfig, parseConfig } from './config/load.js'
export type { Config } from './core/config.js'
export { CastorError, type ErrorCode } from './core/errors.js'
export { type RunningCastor, type StartOptions, startCastor } from './primary/assemble.js'
