import { allocScenario } from './alloc.js'
import { echoScenarios } from './echo.js'
import { httpScenarios } from './http.js'
import { idleScenario } from './idle.js'
import { latencyScenario } from './latency.js'
import type { Scenario } from './scenario.js'

/** In the order they run and are reported. */
export const allScenarios: readonly Scenario[] = [
  ...httpScenarios,
  ...echoScenarios,
  latencyScenario,
  idleScenario,
  allocScenario,
]
