import { z } from 'zod'

/** A parameter that is a whole number; the text is what the OpenAPI document calls an integer. */
export function wholeNumber(min: number, max: number, mustBe: string) {
  return z
    .string()
    .meta({ type: 'integer', minimum: min, maximum: max })
    .refine((text) => /^\d{1,9}$/.test(text) && Number(text) >= min && Number(text) <= max, mustBe)
    .transform(Number)
}
