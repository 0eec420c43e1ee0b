/** What a program of this bench sends back for the one order it takes. */
export type Answer<R> = { readonly result: R } | { readonly error: string }
/** And before it, from programs that have to make ready: what comes from here on is what is measured. */
export type Begun = { readonly begun: true }

/** In the child: waits for the order, answers, and lives on (holding its connections) until the parent lets go. */
export function serveOrder<O, R>(run: (order: O, begin: () => Promise<void>) => Promise<R>): void {
  process.once('disconnect', () => process.exit(0))
  process.once('message', (order) => {
    run(order as O, begin).then(
      (result) => process.send?.({ result } satisfies Answer<R>),
      (error: unknown) => process.send?.({ error: String(error) } satisfies Answer<R>),
    )
  })
}

/** Resolves when the parent has taken note. */
function begin(): Promise<void> {
  return new Promise((resolve) => {
    process.once('message', () => resolve())
    process.send?.({ begun: true } satisfies Begun)
  })
}
