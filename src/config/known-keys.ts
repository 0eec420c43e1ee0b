import { z } from 'zod'

/** The keys that the schema knows for the map at `path`; empty where it knows of no map there. */
export function knownKeys(schema: z.ZodType, path: readonly (string | number)[]): string[] {
  let reached: z.core.$ZodType[] = [schema]
  for (const step of path) {
    reached = reached.flatMap(unwrap).flatMap((type) => {
      if (type instanceof z.ZodObject)
        return type.shape[step] === undefined ? [] : [type.shape[step] as z.core.$ZodType]
      return type instanceof z.ZodArray ? [type.element as z.core.$ZodType] : []
    })
  }
  return reached.flatMap(unwrap).flatMap((type) => (type instanceof z.ZodObject ? Object.keys(type.shape) : []))
}

/** What stands inside of defaults, options and transformations; every alternative of a union. */
function unwrap(type: z.core.$ZodType): z.core.$ZodType[] {
  if (type instanceof z.ZodOptional || type instanceof z.ZodPrefault) return unwrap(type.def.innerType)
  if (type instanceof z.ZodPipe) return unwrap(type.def.in)
  if (type instanceof z.ZodUnion) return type.options.flatMap(unwrap)
  return [type]
}
