import type { ComponentChildren } from 'preact'

interface PanelProps {
  /** Unique on the page. */
  readonly id: string
  readonly title: ComponentChildren
  readonly aside?: string
  /** Class of the table. */
  readonly table?: string
  readonly children: ComponentChildren
}

/** A titled table. Where it is wider than the screen it scrolls on its own, by keyboard as well. */
export function Panel({ id, title, aside, table, children }: PanelProps) {
  return (
    <section class="panel" aria-labelledby={id}>
      <h2 id={id}>
        {title}
        {aside !== undefined && <span class="aside">{aside}</span>}
      </h2>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable without a pointer */}
      <section class="scroll" tabIndex={0} aria-labelledby={id}>
        <table class={table}>{children}</table>
      </section>
    </section>
  )
}
