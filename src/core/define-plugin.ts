import type { OptionsSchema, PluginDefinition } from './plugin.js'

/** What a schema makes of what it is given. */
type OutputOf<Schema> = Schema extends OptionsSchema<infer Output> ? Output : undefined

/**
 * A plug-in, typed by its schema and by what its `setup` returns: to be the default export of a module that the
 * configuration names under `plugins`. It is returned as it is.
 */
export function definePlugin<Schema extends OptionsSchema | undefined = undefined, State = undefined>(
  definition: Omit<PluginDefinition<OutputOf<Schema>, State>, 'options'> & { readonly options?: Schema },
): PluginDefinition<OutputOf<Schema>, State> {
  return definition as PluginDefinition<OutputOf<Schema>, State>
}
