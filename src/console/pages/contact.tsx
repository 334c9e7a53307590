import { useEffect, useState } from "preact/hooks";
import type { ContactDetail } from "../../client/wire.ts";
import { call } from "../data/api.ts";
import { goTo, toHash } from "../data/hash-route.ts";
import { useChanges, useLive, useLoaded, type Loaded } from "../data/use-data.ts";
import { Facts } from "../parts/facts.tsx";
import { PageHead, Panel } from "../parts/page.tsx";
import { Portrait } from "../parts/picture.tsx";
import { Loading, Problem } from "../parts/problem.tsx";
import { Reveal, useReveal, type Revealing } from "../parts/reveal.tsx";
import { useToasts } from "../parts/toasts.tsx";
import { formatDuration, formatMoment, formatNumber, formatRelative } from "../words/format.ts";
import { texts } from "../words/texts.ts";
import { ContactActions } from "./contact-actions.tsx";
import { ContactHistory } from "./contact-history.tsx";

const words = texts.contact;
const { none } = texts.common;
const followMs = 3_000;

/** One contact: its picture or why there is none, when it is asked next and why, and how its picture changed. */
export function Contact({ id }: { readonly id: string }) {
  const path = `v1/contacts/${encodeURIComponent(id)}`;
  const { value: contact, error, reload } = useContact(path);
  const reveal = useReveal();
  const revealed = useRevealed(path, reveal);
  const version = useChanges(contact && `${contact.avatar?.changedAt} ${contact.imageSha256}`);
  return (
    <>
      <PageHead
        title={revealed?.chatId ?? contact?.chatId ?? texts.pages.contact}
        crumb={<a href={toHash(["gallery"])}>{texts.pages.gallery}</a>}
      >
        {contact && <ContactActions path={path} onDone={reload} onErased={() => goTo(toHash(["gallery"]))} />}
      </PageHead>
      <Problem error={error} />
      {contact ? (
        <>
          <Reveal reveal={reveal} />
          <Answer contact={contact} externalRef={revealed?.externalRef ?? contact.externalRef} />
          <Next contact={contact} />
        </>
      ) : (
        !error && <Loading lines={8} />
      )}
      {(contact || !error) && <ContactHistory path={path} version={version} />}
    </>
  );
}

/** The contact, read again and again while it is asked. */
function useContact(path: string): Loaded<ContactDetail> {
  const loaded = useLoaded(path, (signal) => call<ContactDetail>("GET", path, { signal }));
  const { value: contact, reload } = loaded;
  const isAsked = contact?.pending === true && contact.next.stopped === null;
  useEffect(() => {
    if (!isAsked) return undefined;
    const timer = setInterval(() => {
      if (document.visibilityState === "visible") reload();
    }, followMs);
    return () => clearInterval(timer);
  }, [isAsked, reload]);
  return loaded;
}

/** The number and what may hold one, while they are asked for; the masked contact stays where it is. */
function useRevealed(
  path: string,
  { isRevealed, headers }: Revealing,
): Pick<ContactDetail, "chatId" | "externalRef"> | undefined {
  const toasts = useToasts();
  const [revealed, setRevealed] = useState<Pick<ContactDetail, "chatId" | "externalRef">>();
  useEffect(() => {
    if (!isRevealed) return undefined;
    const stopped = new AbortController();
    call<ContactDetail>("GET", path, { headers, signal: stopped.signal }).then(
      setRevealed,
      (error: unknown) => {
        if (!stopped.signal.aborted) toasts.complain(error);
      },
    );
    return () => {
      stopped.abort();
      setRevealed(undefined);
    };
  }, [path, isRevealed]);
  return revealed;
}

/** Why the picture is what it is, in words. */
function Answer({
  contact,
  externalRef,
}: {
  readonly contact: ContactDetail;
  readonly externalRef: string | null;
}) {
  const { instances } = useLive();
  const { status, missing, imageOld, avatar, checkedAt, createdAt, instanceId } = contact;
  const [why, detail] = missing
    ? words.missing[missing.reason]
    : [words.there, imageOld ? words.oldDetail : words.thereDetail];
  const image = toImageWords(contact);
  const alt = contact.imageSha256 === null ? words.noPicture : words.answer;
  const facts: [string, string][] = [
    [words.facts.status, texts.statuses[status]],
    [words.facts.checked, formatWhen(checkedAt)],
    [words.facts.changed, formatWhen(avatar?.changedAt ?? null)],
    [words.facts.seen, formatWhen(avatar?.seenAt ?? null)],
    [words.facts.ref, externalRef ?? none],
    [words.facts.created, formatWhen(createdAt)],
  ];
  return (
    <Panel title={words.answer}>
      <div class="body person">
        <Portrait contact={contact} size={256} alt={alt} className="portrait" />
        <div class="answer">
          <p class="why">{why}</p>
          <p>{detail}</p>
          {image !== "" && <p class="muted">{image}</p>}
          <p>
            <a href={toHash(["instances", instanceId])}>
              {texts.common.instance} {instances.get(instanceId)?.label ?? instanceId}
            </a>
          </p>
        </div>
        <Facts facts={facts} />
      </div>
    </Panel>
  );
}

function toImageWords({ imageState: { state, error, attempts, wantedAt } }: ContactDetail): string {
  const fault = error === null ? none : (words.imageErrors[error] ?? error.replaceAll("-", " "));
  const { imageStates } = words;
  if (state === "wanted" && error !== null && wantedAt !== null)
    return imageStates.wantedAgain(
      fault,
      words.times(attempts, formatNumber(attempts)),
      formatRelative(wantedAt),
    );
  return state === "refused" ? imageStates.refused(fault) : imageStates[state];
}

/** When it is asked next, why then, and what keeps it from being asked. */
function Next({ contact }: { readonly contact: ContactDetail }) {
  const { next, attempts, lastError } = contact;
  const { stopped, priority, intervalSeconds } = next;
  const isWaiting = priority !== null;
  const facts: [string, string][] = [
    [words.due, next.at === null ? words.onRequest : formatWhen(next.at)],
    [words.priority, priority === null ? words.resting : (words.priorities[priority] ?? none)],
    ...(intervalSeconds === null
      ? []
      : [[words.interval, formatDuration(intervalSeconds)] satisfies [string, string]]),
    [words.attempts, formatNumber(attempts)],
    ...(lastError === null ? [] : [[words.lastError, lastError] satisfies [string, string]]),
  ];
  return (
    <Panel title={words.next}>
      <div class="body">
        <p>{words.reasons[next.reason]}</p>
        {stopped && (
          <p class={isWaiting ? "banner" : "muted"}>
            {words.stopped[stopped.reason]}{" "}
            {stopped.until !== null && words.until(formatMoment(stopped.until))}
          </p>
        )}
        <Facts facts={facts} />
      </div>
    </Panel>
  );
}

function formatWhen(iso: string | null): string {
  return iso === null ? none : words.dueAt(formatMoment(iso), formatRelative(iso));
}
