import { allocScenario } from './alloc.js'
import { echoScenarios } from './echo.js'
import { httpScenarios } from './http.js'
import { idleScenarios } from './idle.js'
import { latencyScenario } from './latency.js'
import { manyTargetsScenarios } from './many-targets.js'
import { rulesScenarios } from './rules.js'
import { scalingScenarios } from './scaling.js'
import type { Scenario } from './scenario.js'
import { stickyScenarios } from './sticky.js'
import { tlsScenarios } from './tls.js'

/** In the order they run and are reported. */
export const standardScenarios: readonly Scenario[] = [
  ...httpScenarios,
  ...tlsScenarios,
  ...echoScenarios,
  ...stickyScenarios,
  ...manyTargetsScenarios,
  ...rulesScenarios,
  latencyScenario,
  ...idleScenarios,
  allocScenario,
]

export { scalingScenarios }

export const allScenarios: readonly Scenario[] = [...standardScenarios, ...scalingScenarios]
