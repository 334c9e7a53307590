import { useCallback, useEffect, useLayoutEffect, useState } from "preact/hooks";
import type { ApiKey } from "../client/wire.ts";
import { OwnKeyContext } from "./data/own-key.ts";
import { call, CallError, onSessionEnd } from "./data/api.ts";
import { Frame } from "./frame.tsx";
import { goTo, parseHash, toHash, usePlace, type Place } from "./data/hash-route.ts";
import { openLive, type LiveStore } from "./data/live.ts";
import { Login } from "./pages/login.tsx";
import { Audit } from "./pages/audit.tsx";
import { Batch } from "./pages/batch.tsx";
import { Batches } from "./pages/batches.tsx";
import { Contact } from "./pages/contact.tsx";
import { Gallery } from "./pages/gallery.tsx";
import { Instance } from "./pages/instance.tsx";
import { Keys } from "./pages/keys.tsx";
import { Nights } from "./pages/nights.tsx";
import { Overview } from "./pages/overview.tsx";
import { Webhook } from "./pages/webhook.tsx";
import { Webhooks } from "./pages/webhooks.tsx";
import { PageHead } from "./parts/page.tsx";
import { Problem } from "./parts/problem.tsx";
import { ToastArea } from "./parts/toasts.tsx";
import { prepareFormats } from "./words/format.ts";
import { texts } from "./words/texts.ts";
import { LiveContext } from "./data/use-data.ts";

type Session =
  | { readonly kind: "asking"; readonly error?: unknown }
  | { readonly kind: "none"; readonly note: string | undefined }
  | { readonly kind: "there"; readonly key: ApiKey; readonly live: LiveStore };

const retryMs = 3_000;

export function App() {
  const [session, setSession] = useState<Session>({ kind: "asking" });

  const ask = useCallback(async (): Promise<boolean> => {
    const asked = call<ApiKey>("GET", "v1/keys/self");
    const live = openLive({ batchId: findBatch(), session: asked });
    setTimeout(prepareFormats);
    try {
      setSession({ kind: "there", key: await asked, live });
      return true;
    } catch (error) {
      live.stop();
      const isNone = error instanceof CallError && error.status === 401;
      setSession(isNone ? { kind: "none", note: undefined } : { kind: "asking", error });
      if (!isNone) setTimeout(() => void ask(), retryMs);
      return false;
    }
  }, []);

  useLayoutEffect(() => {
    const begin = async () => {
      const error = await takeLink().catch((cause: unknown) => cause);
      const isThere = await ask();
      if (!isThere && error instanceof CallError && error.status === 401)
        setSession({ kind: "none", note: error.message });
    };
    void begin();
    return onSessionEnd(() =>
      setSession((before) => (before.kind === "there" ? { kind: "none", note: texts.login.ended } : before)),
    );
  }, [ask]);

  if (session.kind === "asking") return <Problem error={session.error} />;
  if (session.kind === "none") return <Login key={session.note} note={session.note} onLogin={ask} />;
  const { key, live } = session;
  return <Pages ownKey={key} live={live} onLogout={() => setSession({ kind: "none", note: undefined })} />;
}

/** The batch whose page it is. The stream follows it from the start: one is enough. */
function findBatch(): string | undefined {
  const [name, id] = parseHash(location.hash).parts;
  return name === "batches" ? id : undefined;
}

/** A link of `avatars up` has its token behind the hash. It goes from there before it is used. */
async function takeLink(): Promise<void> {
  const [, link] = /^#login=([\w-]{1,100})$/.exec(location.hash) ?? [];
  if (link === undefined) return;
  history.replaceState(null, "", toHash(["overview"]));
  await call("POST", "console/session", { body: { link } });
}

function Pages({
  ownKey,
  live,
  onLogout,
}: {
  readonly ownKey: ApiKey;
  readonly live: LiveStore;
  readonly onLogout: () => void;
}) {
  useEffect(() => live.stop, [live]);
  const place = usePlace();
  useEffect(() => {
    if (parseHash(location.hash).parts.length === 0) goTo(toHash(["overview"]));
  }, []);

  async function logOut(): Promise<void> {
    await call("DELETE", "console/session").catch(() => undefined);
    onLogout();
  }

  return (
    <LiveContext.Provider value={live}>
      <OwnKeyContext.Provider value={ownKey}>
        <ToastArea>
          <Frame
            current={place.parts[0] ?? "overview"}
            who={ownKey.label ?? ownKey.id}
            onLogout={() => void logOut()}
          >
            <Page place={place} />
          </Frame>
        </ToastArea>
      </OwnKeyContext.Provider>
    </LiveContext.Provider>
  );
}

function Page({ place: { parts, query } }: { readonly place: Place }) {
  const [name = "overview", id] = parts;
  switch (name) {
    case "overview":
      return <Overview />;
    case "instances":
      return id === undefined ? <Overview /> : <Instance key={id} id={id} />;
    case "batches":
      return id === undefined ? <Batches query={query} /> : <Batch key={id} id={id} />;
    case "gallery":
      return <Gallery query={query} />;
    case "contacts":
      return id === undefined ? <Gallery query={query} /> : <Contact key={id} id={id} />;
    case "audit":
      return <Audit />;
    case "nights":
      return <Nights query={query} />;
    case "webhooks":
      return id === undefined ? <Webhooks /> : <Webhook key={id} id={id} />;
    case "keys":
      return <Keys />;
    default:
      return (
        <>
          <PageHead title={texts.common.notFound} />
          <p>
            <a href={toHash(["overview"])}>{texts.common.back}</a>
          </p>
        </>
      );
  }
}
