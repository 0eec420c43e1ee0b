/** What a program of this bench sends back for the one order it takes. */
export type Answer<R> = { readonly result: R } | { readonly error: string }

/** In the child: waits for the order, answers, and lives on (holding its connections) until the parent lets go. */
export function serveOrder<O, R>(run: (order: O) => Promise<R>): void {
  process.once('disconnect', () => process.exit(0))
  process.once('message', (order) => {
    run(order as O).then(
      (result) => process.send?.({ result } satisfies Answer<R>),
      (error: unknown) => process.send?.({ error: String(error) } satisfies Answer<R>),
    )
  })
}
