import type { Contact, ContactCounts, ContactStatus } from "../../client/wire.ts";
import { call } from "../data/api.ts";
import { replaceQuery, toHash } from "../data/hash-route.ts";
import { useLoaded } from "../data/use-data.ts";
import { useEndless } from "../data/use-endless.ts";
import { usePages, type Page, type Pages } from "../data/use-pages.ts";
import { InstanceField, SelectField } from "../parts/fields.tsx";
import { MoreButton } from "../parts/more.tsx";
import { PageHead } from "../parts/page.tsx";
import { Portrait } from "../parts/picture.tsx";
import { Loading, Problem } from "../parts/problem.tsx";
import { Reveal, useReveal } from "../parts/reveal.tsx";
import { formatNumber } from "../words/format.ts";
import { texts } from "../words/texts.ts";

const words = texts.gallery;
const statuses = Object.keys(texts.statuses) as ContactStatus[];
type Period = keyof typeof words.periods;
const periods = Object.keys(words.periods) as Period[];
const pageSize = "60";
const dayMs = 86_400_000;

/** All contacts as thumbnails: those of a status, of an instance, or whose pictures changed today. */
export function Gallery({ query }: { readonly query: URLSearchParams }) {
  const filter = {
    instance: query.get("instance") ?? "",
    status: query.get("status") ?? "",
    changed: query.get("changed") ?? "",
  };
  const set = (change: Partial<typeof filter>) => replaceQuery({ ...filter, ...change });
  const reveal = useReveal();
  const list = usePages(`contacts ${JSON.stringify(filter)} ${reveal.isRevealed}`, (cursor, signal) =>
    call<Page<Contact>>("GET", "v1/contacts", {
      query: {
        instanceId: filter.instance,
        status: filter.status,
        changedSince: toSince(filter.changed),
        cursor,
        limit: pageSize,
      },
      headers: reveal.headers,
      signal,
    }),
  );
  return (
    <>
      <PageHead title={texts.pages.gallery} />
      <div class="filters">
        <InstanceField
          value={filter.instance}
          all={texts.common.all}
          onValue={(instance) => set({ instance })}
        />
        <SelectField
          name="changed"
          label={words.changed}
          value={filter.changed}
          onValue={(changed) => set({ changed })}
        >
          {periods.map((period) => (
            <option key={period} value={period}>
              {words.periods[period]}
            </option>
          ))}
        </SelectField>
        <Reveal reveal={reveal} />
      </div>
      <Statuses instance={filter.instance} value={filter.status} onValue={(status) => set({ status })} />
      <Faces list={list} isFiltered={Object.values(filter).some(Boolean)} />
    </>
  );
}

/** Midnight here, and not in UTC: the day of the person who looks. */
function toSince(period: string): string | undefined {
  const midnight = new Date();
  midnight.setHours(0, 0, 0, 0);
  if (period === "today") return midnight.toISOString();
  return period === "week" ? new Date(midnight.getTime() - 6 * dayMs).toISOString() : undefined;
}

/** The statuses with their counts, to choose one. */
function Statuses({
  instance,
  value,
  onValue,
}: {
  readonly instance: string;
  readonly value: string;
  readonly onValue: (status: string) => void;
}) {
  const counted = useLoaded(`counts ${instance}`, (signal) =>
    call<ContactCounts>("GET", "v1/contacts/counts", { query: { instanceId: instance }, signal }),
  ).value;

  function format(status: ContactStatus): string {
    const count = counted?.counts[status];
    if (counted === undefined || count === undefined) return "";
    return count >= counted.mostCounted ? words.orMore(formatNumber(count)) : formatNumber(count);
  }

  return (
    <div class="chips" role="group" aria-label={words.statuses}>
      <button type="button" class="chip" aria-pressed={value === ""} onClick={() => onValue("")}>
        {texts.common.all}
      </button>
      {statuses.map((status) => (
        <button
          key={status}
          type="button"
          class="chip"
          aria-pressed={value === status}
          onClick={() => onValue(value === status ? "" : status)}
        >
          <span class={`key-dot c-${status}`} aria-hidden="true" />
          {texts.statuses[status]} <span class="muted number">{format(status)}</span>
        </button>
      ))}
    </div>
  );
}

function Faces({ list, isFiltered }: { readonly list: Pages<Contact>; readonly isFiltered: boolean }) {
  const end = useEndless(list);
  const { items, isOver, error } = list;
  const count = formatNumber(items.length);
  if (items.length === 0 && !isOver)
    return error === undefined ? <Loading lines={6} /> : <Problem error={error} />;
  return (
    <>
      {items.length === 0 ? (
        <p class="empty">
          <strong>{isFiltered ? words.empty : words.emptyAll}</strong>
          {isFiltered ? words.emptyHint : words.emptyAllHint}
        </p>
      ) : (
        <ul class="faces" aria-label={words.list}>
          {items.map((contact) => (
            <li key={contact.contactId}>
              <Face contact={contact} />
            </li>
          ))}
        </ul>
      )}
      <Problem error={error} />
      <p class="muted small" role="status">
        {isOver ? words.shownAll(count) : words.shown(count)}
      </p>
      <div ref={end} />
      <MoreButton pages={list} />
    </>
  );
}

function Face({ contact }: { readonly contact: Contact }) {
  const { contactId, chatId, status, externalRef } = contact;
  return (
    <a class="face" href={toHash(["contacts", contactId])}>
      <Portrait contact={contact} size={256} />
      <span class="below">
        <span class="number">{chatId}</span>
        {externalRef !== null && <span class="ref muted">{externalRef}</span>}
        <span class="status">
          <span class={`key-dot c-${status}`} aria-hidden="true" />
          {texts.statuses[status]}
        </span>
      </span>
    </a>
  );
}
