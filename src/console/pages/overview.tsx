import { useMemo, useState } from "preact/hooks";
import { formatDuration, formatNumber, formatRate, formatRelative, formatShare } from "../words/format.ts";
import { toHash } from "../data/hash-route.ts";
import type { InstanceStatus } from "../data/live.ts";
import { Gauge } from "../parts/charts/gauge.tsx";
import { StateBadge, toNextTry, toShownState } from "../parts/instance-state.tsx";
import { PageHead, Panel } from "../parts/page.tsx";
import { Loading } from "../parts/problem.tsx";
import { Spark } from "../parts/charts/spark.tsx";
import { texts } from "../words/texts.ts";
import { useLive } from "../data/use-data.ts";

const words = texts.overview;
const { none } = texts.common;

/** Where all instances stand, and what wants a person. */
export function Overview() {
  const { isTold, instances } = useLive();
  const all = [...instances.values()];
  if (!isTold) return <Waiting />;
  return (
    <>
      <PageHead title={texts.pages.overview} />
      <Totals all={all} />
      <Troubles all={all} />
      <InstanceTable all={all} />
    </>
  );
}

function Waiting() {
  return (
    <>
      <PageHead title={texts.pages.overview} />
      <div class="panel">
        <Loading lines={8} />
      </div>
    </>
  );
}

function sumOf(all: readonly InstanceStatus[], value: (status: InstanceStatus) => number): number {
  return all.reduce((sum, status) => sum + value(status), 0);
}

function Totals({ all }: { readonly all: readonly InstanceStatus[] }) {
  const calls = sumOf(all, ({ callsPerSecond }) => callsPerSecond);
  const budget = sumOf(all, ({ requestsPerSecond }) => requestsPerSecond);
  const due = sumOf(all, (status) => status.due ?? 0);
  const backoff = sumOf(all, (status) => status.waiting ?? 0);
  const oldest = Math.max(-1, ...all.map(({ oldestDueSeconds }) => oldestDueSeconds ?? -1));
  const stands = all.some(({ etaSeconds, due }) => etaSeconds === null && (due ?? 0) > 0);
  const eta = Math.max(0, ...all.map(({ etaSeconds }) => etaSeconds ?? 0));
  const working = all.filter((status) => status.callsPerSecond > 0).length;
  return (
    <dl class="tiles">
      <Tile
        name={words.calls}
        value={formatRate(calls)}
        below={words.ofBudget(formatShare(budget > 0 ? calls / budget : 0), formatRate(budget))}
      />
      <Tile
        name={words.instances}
        value={formatNumber(all.length)}
        below={words.working(formatNumber(working))}
      />
      <Tile name={words.waiting} value={formatNumber(due)} below={words.inBackoff(formatNumber(backoff))} />
      <Tile
        name={words.oldest}
        value={oldest < 0 ? none : formatDuration(oldest)}
        below={oldest < 0 ? words.oldestNone : ""}
      />
      <Tile name={words.done} value={formatDuration(eta)} below={stands ? words.doneUnknown : ""} />
    </dl>
  );
}

function Tile({
  name,
  value,
  below,
}: {
  readonly name: string;
  readonly value: string;
  readonly below: string;
}) {
  return (
    <div class="panel tile">
      <dt>{name}</dt>
      <dd>
        {value}
        <div class="below">{below}</div>
      </dd>
    </div>
  );
}

/** Why an instance stands still, and what to do; undefined: it does not. */
function toTrouble(status: InstanceStatus): { text: string; advice: string; isPersons: boolean } | undefined {
  const { held } = status;
  switch (toShownState(status)) {
    case "held":
      if (held === null) return undefined;
      return {
        text: held.text,
        advice: held.advice ?? (held.until === null ? words.waits : toNextTry(held.until)),
        isPersons: held.advice !== null,
      };
    case "paused":
      return { text: words.paused, advice: words.resumeHint, isPersons: false };
    case "stalled":
      return { text: words.noWorker, advice: "", isPersons: true };
    case "throttled":
      return { text: words.throttled, advice: words.waits, isPersons: false };
    default:
      return undefined;
  }
}

function Troubles({ all }: { readonly all: readonly InstanceStatus[] }) {
  const troubled = all.flatMap((status) => {
    const trouble = toTrouble(status);
    return trouble ? [{ status, ...trouble }] : [];
  });
  if (troubled.length === 0) return null;
  const sorted = [
    ...troubled.filter(({ isPersons }) => isPersons),
    ...troubled.filter(({ isPersons }) => !isPersons),
  ];
  return (
    <section aria-label={words.trouble} class="form">
      <h2>
        {words.trouble} <span class="muted">({formatNumber(sorted.length)})</span>
      </h2>
      <ul class="trouble-list">
        {sorted.slice(0, 12).map(({ status, text, advice, isPersons }) => (
          <li key={status.instanceId} class={`trouble${isPersons ? " persons" : ""}`}>
            <div class="who">
              <a href={toHash(["instances", status.instanceId])}>{status.label ?? status.instanceId}</a>
              <StateBadge status={status} />
            </div>
            <p class="what">{capitalize(text)}</p>
            <p class="small muted">
              {isPersons && advice !== "" && <strong>{words.person}: </strong>}
              {capitalize(advice)}
              {status.held?.since && ` · ${words.since(formatRelative(status.held.since))}`}
            </p>
          </li>
        ))}
      </ul>
    </section>
  );
}

function capitalize(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function InstanceTable({ all }: { readonly all: readonly InstanceStatus[] }) {
  const [search, setSearch] = useState("");
  const { columns } = words;
  const wanted = search.trim().toLowerCase();
  const shown = all.filter(
    ({ instanceId, label }) => instanceId.includes(wanted) || (label ?? "").toLowerCase().includes(wanted),
  );
  return (
    <Panel
      title={words.table}
      aside={
        all.length > 8 && (
          <input
            class="search"
            type="search"
            aria-label={words.search}
            placeholder={words.search}
            value={search}
            onInput={(event) => setSearch(event.currentTarget.value)}
          />
        )
      }
    >
      {all.length === 0 ? (
        <div class="empty">
          <strong>{words.empty}</strong>
          <code>{words.emptyHint}</code>
        </div>
      ) : (
        <div class="table-wrap">
          <table class="cards">
            <thead>
              <tr>
                <th scope="col">{columns.instance}</th>
                <th scope="col">{columns.state}</th>
                <th scope="col">{columns.budget}</th>
                <th scope="col">{columns.pace}</th>
                <th scope="col" class="right">
                  {columns.due}
                </th>
                <th scope="col" class="right">
                  {columns.oldest}
                </th>
                <th scope="col" class="right">
                  {columns.eta}
                </th>
              </tr>
            </thead>
            <tbody>
              {shown.map((status) => (
                <InstanceRow key={status.instanceId} status={status} />
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Panel>
  );
}

/** Drawn again where its standing has changed, and not with each news of others. */
function InstanceRow({ status }: { readonly status: InstanceStatus }) {
  return useMemo(() => toRow(status), [status]);
}

function toRow(status: InstanceStatus) {
  const { instanceId, label, due, oldestDueSeconds, etaSeconds } = status;
  const { columns } = words;
  return (
    <tr>
      <td class="whole">
        <div class="name">
          <a href={toHash(["instances", instanceId])}>{label ?? instanceId}</a>
          {label !== null && <span class="id">{instanceId}</span>}
        </div>
      </td>
      <td data-label={columns.state}>
        <StateBadge status={status} />
      </td>
      <td class="whole">
        <Gauge {...status} />
      </td>
      <td data-label={columns.pace}>
        <Spark history={status.history} budget={status.requestsPerSecond} />
      </td>
      <td class="right number" data-label={columns.due}>
        {due === null ? none : formatNumber(due)}
      </td>
      <td class="right number" data-label={columns.oldest}>
        {oldestDueSeconds === null ? none : formatDuration(oldestDueSeconds)}
      </td>
      <td class="right number" data-label={columns.eta}>
        {etaSeconds === null || due === 0 ? none : formatDuration(etaSeconds)}
      </td>
    </tr>
  );
}
