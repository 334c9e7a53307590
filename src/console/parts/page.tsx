import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";
import { texts } from "../words/texts.ts";

/** The head of a page: its title is the document's, too. */
export function PageHead({
  title,
  crumb,
  children,
}: {
  readonly title: string;
  /** Above the title: where the page belongs. */
  readonly crumb?: ComponentChildren;
  /** Beside it: what can be done. */
  readonly children?: ComponentChildren;
}) {
  useEffect(() => {
    document.title = `${title} · ${texts.product}`;
  }, [title]);
  return (
    <div class="page-head">
      <div class="titles">
        {crumb !== undefined && <div class="crumb">{crumb}</div>}
        <h1>{title}</h1>
      </div>
      <div class="actions">{children}</div>
    </div>
  );
}

export function Panel({
  title,
  aside,
  children,
}: {
  readonly title: string;
  readonly aside?: ComponentChildren;
  readonly children: ComponentChildren;
}) {
  return (
    <section class="panel" aria-label={title}>
      <header>
        <h2>{title}</h2>
        {aside}
      </header>
      {children}
    </section>
  );
}
