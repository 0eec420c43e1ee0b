import { audit } from './audit-routes.js'
import { addTarget, changeTarget, removeTarget } from './change-targets.js'
import { reload, showConfig, showDiff } from './configuration.js'
import { drainHost } from './drain-host.js'
import { explain } from './explain.js'
import { alive, dashboard, metrics, openApi, ready } from './process-routes.js'
import type { Route } from './route.js'
import { listSessions } from './sessions.js'
import { cluster, events, listeners, status, targetGroup, targetGroups } from './status-routes.js'
import { upgrade } from './upgrade.js'

/** Everything that is served, in the order of the documentation. */
export const ROUTES: readonly Route[] = [
  alive,
  ready,
  metrics,
  openApi,
  dashboard,
  status,
  listeners,
  targetGroups,
  targetGroup,
  addTarget,
  changeTarget,
  removeTarget,
  listSessions,
  explain,
  showConfig,
  showDiff,
  reload,
  audit,
  cluster,
  events,
  drainHost,
  upgrade,
]
