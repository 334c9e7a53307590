import type { ComponentChildren } from "preact";
import { useContext, useEffect, useRef, useState } from "preact/hooks";
import type { ApiKey } from "../client/wire.ts";
import { toHash } from "./data/hash-route.ts";
import { OwnKeyContext } from "./data/own-key.ts";
import { Icon, Logo, type IconName } from "./parts/icons.tsx";
import { formatClock } from "./words/format.ts";
import { texts } from "./words/texts.ts";
import { useLive } from "./data/use-data.ts";

const pages = [
  "overview",
  "batches",
  "gallery",
  "nights",
  "webhooks",
  "keys",
  "audit",
] as const satisfies readonly (IconName & keyof typeof texts.pages)[];
/** Pages with a scope of their own: a key without it has no way to them here. */
const scoped: ReadonlySet<string> = new Set([
  "webhooks",
  "keys",
  "audit",
] as const satisfies ApiKey["scopes"]);

/** The frame of all pages: where to go, what is away, who is logged in. */
export function Frame({
  current,
  who,
  onLogout,
  children,
}: {
  /** The first part of the place. */
  readonly current: string;
  /** Whose session it is. */
  readonly who: string;
  readonly onLogout: () => void;
  readonly children: ComponentChildren;
}) {
  const [isOpen, setIsOpen] = useState(false);
  const scopes: readonly string[] = useContext(OwnKeyContext)?.scopes ?? [];
  const main = useRef<HTMLElement>(null);
  const isFirst = useRef(true);
  // The keyboard and the screen reader begin at the top of the new page.
  useEffect(() => {
    setIsOpen(false);
    if (isFirst.current) isFirst.current = false;
    else main.current?.focus();
    scrollTo(0, 0);
  }, [current]);
  return (
    <div class="frame">
      <a
        class="skip"
        href="#content"
        onClick={(event) => {
          event.preventDefault();
          main.current?.focus();
        }}
      >
        {texts.skip}
      </a>
      <header class={`side${isOpen ? " open" : ""}`}>
        <div class="top">
          <a class="brand" href={toHash(["overview"])}>
            <Logo />
            {texts.product}
          </a>
          <button
            type="button"
            class="menu-button"
            aria-expanded={isOpen}
            aria-controls="menu"
            onClick={() => setIsOpen(!isOpen)}
          >
            <Icon name="menu" />
            {texts.menu}
          </button>
        </div>
        <nav id="menu" aria-label={texts.console}>
          <ul>
            {pages
              .filter((name) => !scoped.has(name) || scopes.includes(name))
              .map((name) => (
                <li key={name}>
                  <a href={toHash([name])} aria-current={isPart(current, name) ? "page" : undefined}>
                    <Icon name={name} />
                    {texts.pages[name]}
                  </a>
                </li>
              ))}
          </ul>
        </nav>
        <LinkState />
        <div class="who small">
          <span class="muted">{texts.login.as(who)}</span>
          <span class="actions">
            <button type="button" class="plain" onClick={onLogout}>
              {texts.login.logout}
            </button>
            <a href="../docs" target="_blank" rel="noreferrer">
              {texts.common.docs}
            </a>
          </span>
        </div>
      </header>
      <main class="content" id="content" tabIndex={-1} ref={main}>
        <Away />
        {children}
      </main>
    </div>
  );
}

function isPart(current: string, name: string): boolean {
  const owner = { instances: "overview", contacts: "gallery" }[current];
  return current === name || owner === name;
}

function LinkState() {
  const { link } = useLive();
  return (
    <p class="link-state" role="status">
      <span class={`dot ${link}`} aria-hidden="true" />
      {texts.link[link]}
    </p>
  );
}

/** What is away, in words: since when, and what that means. It is said by itself when it changes. */
function Away() {
  const { link, lostAt, away } = useLive();
  const known = texts.away as Readonly<Record<string, (since: string) => string>>;
  const words =
    link === "lost"
      ? [texts.lost(formatClock(lostAt ?? Date.now()))]
      : away.flatMap(({ name, since }) => known[name]?.(formatClock(since)) ?? []);
  return (
    <div role="status" aria-live="polite" class="away">
      {words.map((text) => (
        <p key={text} class="banner bad">
          {text}
        </p>
      ))}
    </div>
  );
}
