import { useState } from "preact/hooks";
import type { Batch as BatchReport, BatchChange, BatchItem, BatchItemStatus } from "../../client/wire.ts";
import { call } from "../data/api.ts";
import { download } from "../data/download.ts";
import { toHash } from "../data/hash-route.ts";
import { useChanges, useFollowedBatch, useLive, useLoaded } from "../data/use-data.ts";
import { usePages, type Page } from "../data/use-pages.ts";
import { BatchBadge } from "../parts/batch-state.tsx";
import { Confirmed } from "../parts/confirm.tsx";
import { SelectField } from "../parts/fields.tsx";
import { MoreButton } from "../parts/more.tsx";
import { Facts } from "../parts/facts.tsx";
import { PageHead, Panel } from "../parts/page.tsx";
import { Loading, Problem } from "../parts/problem.tsx";
import { Reveal, useReveal, type Revealing } from "../parts/reveal.tsx";
import { Stack, type StackPart } from "../parts/charts/stack.tsx";
import { useToasts } from "../parts/toasts.tsx";
import { formatDuration, formatMoment, formatNumber, formatRate } from "../words/format.ts";
import { texts } from "../words/texts.ts";

const words = texts.batches;
const { none } = texts.common;

/** One batch as it goes on: its counts, what holds it, its contacts. */
export function Batch({ id }: { readonly id: string }) {
  const followed = useFollowedBatch(id);
  const reveal = useReveal();
  const loaded = useLoaded(`batch ${id} ${reveal.isRevealed}`, (signal) =>
    call<BatchReport>("GET", `v1/batches/${encodeURIComponent(id)}`, { headers: reveal.headers, signal }),
  );
  const batch = followed ?? loaded.value;
  const version = useChanges(batch?.state);
  // What is followed has masked words always.
  const label = loaded.value?.label ?? batch?.label;
  return (
    <>
      <PageHead
        title={label ?? words.unnamed}
        crumb={
          <>
            <a href={toHash(["batches"])}>{texts.pages.batches}</a> / {id.slice(0, 8)}
          </>
        }
      >
        {batch && <BatchBadge state={batch.state} />}
        {batch && <BatchActions batch={batch} onDone={loaded.reload} />}
      </PageHead>
      <Problem error={loaded.error} />
      {batch ? <Progress batch={batch} /> : !loaded.error && <Loading />}
      {(batch || !loaded.error) && <Items id={id} version={version} reveal={reveal} />}
    </>
  );
}

function BatchActions({ batch, onDone }: { readonly batch: BatchReport; readonly onDone: () => void }) {
  const toasts = useToasts();
  const isOver = batch.state === "done" || batch.state === "cancelled";

  async function change(action: "cancel" | "retry"): Promise<void> {
    const { contacts } = await call<BatchChange>("POST", `v1/batches/${batch.id}/${action}`);
    toasts.say(words.changed(formatNumber(contacts)));
    onDone();
  }

  return (
    <>
      {!isOver && (
        <Confirmed
          label={words.cancel}
          question={words.cancelQuestion(formatNumber(batch.counts.pending))}
          isDanger
          onConfirm={() => change("cancel")}
        />
      )}
      {batch.counts.unreachable + batch.counts.unknown > 0 && isOver && (
        <Confirmed label={words.retry} question={words.retryQuestion} onConfirm={() => change("retry")} />
      )}
    </>
  );
}

function Progress({ batch }: { readonly batch: BatchReport }) {
  const { counts, accepted, state } = batch;
  const { instances } = useLive();
  const parts: StackPart[] = [
    ...(["present", "absent", "hidden", "invalid", "unreachable", "unknown"] as const).map((status) => ({
      name: texts.statuses[status],
      color: `c-${status}`,
      count: counts[status],
    })),
    { name: words.itemStates.cancelled, color: "c-cancelled", count: counts.cancelled },
    { name: words.erased, color: "c-erased", count: counts.erased },
    { name: words.itemStates.pending, color: "c-pending", count: counts.pending },
  ];
  const done = accepted - counts.pending;
  const summary = words.progress(formatNumber(done), formatNumber(accepted));
  const facts: [string, string][] = [
    [texts.common.instance, instances.get(batch.instanceId)?.label ?? batch.instanceId],
    [words.columns.requested, formatMoment(batch.requestedAt)],
    [words.finished, batch.finishedAt === null ? none : formatMoment(batch.finishedAt)],
    [words.fresh, formatNumber(counts.fresh)],
    [words.duplicates, formatNumber(batch.duplicates)],
    [words.rejected, formatNumber(batch.rejected)],
    [texts.overview.calls, state === "working" ? formatRate(batch.callsPerSecond) : none],
    [
      texts.overview.columns.eta,
      state === "working" && batch.etaSeconds !== null ? formatDuration(batch.etaSeconds) : none,
    ],
  ];
  return (
    <Panel title={words.progressTitle}>
      <div class="body">
        <p class="progress-words" role="status">
          <strong>{summary}</strong>
        </p>
        <Stack parts={parts} label={summary} />
        {batch.held.map(({ instanceId, state: why, reason }) => (
          <p key={instanceId} class="banner">
            {words.held(texts.states[why], reason)}
          </p>
        ))}
        <Facts facts={facts} />
      </div>
    </Panel>
  );
}

const itemStates = Object.keys(words.itemStates) as BatchItemStatus[];

function Items({
  id,
  version,
  reveal,
}: {
  readonly id: string;
  /** With another one the contacts are read again. */
  readonly version: number;
  readonly reveal: Revealing;
}) {
  const [status, setStatus] = useState("");
  const { columns, itemStates: names } = words;
  const list = usePages(`items ${id} ${status} ${version} ${reveal.isRevealed}`, (cursor, signal) =>
    call<Page<BatchItem>>("GET", `v1/batches/${encodeURIComponent(id)}/items`, {
      query: { status, cursor, limit: "50" },
      headers: reveal.headers,
      signal,
    }),
  );
  return (
    <Panel
      title={words.contacts}
      aside={
        <SelectField name="status" label={words.state} value={status} onValue={setStatus}>
          <option value="">{texts.common.any}</option>
          {itemStates.map((name) => (
            <option key={name} value={name}>
              {names[name]}
            </option>
          ))}
        </SelectField>
      }
    >
      <div class="body toolbar">
        <Reveal reveal={reveal} />
        <Downloads id={id} status={status} reveal={reveal} />
      </div>
      <Problem error={list.error} />
      {list.items.length === 0 ? (
        list.isOver ? (
          <p class="empty">{words.noItems}</p>
        ) : (
          <Loading />
        )
      ) : (
        <div class="table-wrap">
          <table class="cards">
            <thead>
              <tr>
                <th scope="col">{columns.number}</th>
                <th scope="col">{columns.answer}</th>
                <th scope="col">{columns.ref}</th>
                <th scope="col" class="right">
                  {columns.line}
                </th>
                <th scope="col" class="right">
                  {columns.checked}
                </th>
              </tr>
            </thead>
            <tbody>
              {list.items.map((item) => (
                <tr key={item.position}>
                  <td class="whole number">
                    <a href={toHash(["contacts", item.contactId])}>{item.chatId}</a>
                  </td>
                  <td data-label={columns.answer}>
                    <span class="dotted">
                      <span class={`key-dot c-${item.status}`} aria-hidden="true" />
                      {names[item.status]}
                    </span>
                  </td>
                  <td data-label={columns.ref}>{item.externalRef ?? none}</td>
                  <td class="right number" data-label={columns.line}>
                    {formatNumber(item.position)}
                  </td>
                  <td class="right number" data-label={columns.checked}>
                    {item.checkedAt === null ? none : formatMoment(item.checkedAt)}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      <MoreButton pages={list} />
    </Panel>
  );
}

/** The results as files: of the state that is chosen, where it is an answer. */
function Downloads({
  id,
  status,
  reveal,
}: {
  readonly id: string;
  readonly status: string;
  readonly reveal: Revealing;
}) {
  const toasts = useToasts();
  const [working, setWorking] = useState<Format>();

  async function save(format: Format): Promise<void> {
    setWorking(format);
    try {
      await download(`v1/batches/${encodeURIComponent(id)}/results.${format}`, {
        name: `${id}.avatars.${format}`,
        query: { status: status in texts.statuses ? status : undefined },
        headers: reveal.headers,
      });
    } catch (error) {
      toasts.complain(error);
    } finally {
      setWorking(undefined);
    }
  }

  return (
    <div class="actions">
      {formats.map((format) => (
        <button key={format} type="button" disabled={working !== undefined} onClick={() => void save(format)}>
          {working === format ? words.downloading : words.downloads[format]}
        </button>
      ))}
      <span class="muted small">{reveal.isRevealed ? words.whole : words.masked}</span>
    </div>
  );
}

type Format = keyof typeof words.downloads;
const formats = Object.keys(words.downloads) as Format[];
