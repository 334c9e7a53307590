import { useState } from "preact/hooks";
import type { ResyncPlan, ResyncRun } from "../../client/wire.ts";
import { call } from "../data/api.ts";
import { replaceQuery, toHash } from "../data/hash-route.ts";
import { useLive, useLoaded } from "../data/use-data.ts";
import { usePages, type Page } from "../data/use-pages.ts";
import { InstanceField } from "../parts/fields.tsx";
import { MoreButton } from "../parts/more.tsx";
import { PageHead, Panel } from "../parts/page.tsx";
import { Loading, Problem } from "../parts/problem.tsx";
import { ShareBar } from "../parts/charts/share-bar.tsx";
import { formatMoment, formatNumber, formatRate } from "../words/format.ts";
import { texts } from "../words/texts.ts";

const words = texts.nights;
const { none } = texts.common;

/** The plan of the next night, and what earlier ones have done of theirs. */
export function Nights({ query }: { readonly query: URLSearchParams }) {
  const instance = query.get("instance") ?? "";
  const plan = useLoaded(`plan ${instance}`, (signal) =>
    call<ResyncPlan>("GET", "v1/resync/plan", { query: { instanceId: instance }, signal }),
  );
  const runs = usePages(`runs ${instance}`, (cursor, signal) =>
    call<Page<ResyncRun>>("GET", "v1/resync/runs", {
      query: { instanceId: instance, cursor, limit: "50" },
      signal,
    }),
  );
  return (
    <>
      <PageHead title={texts.pages.nights}>
        <InstanceField
          value={instance}
          all={texts.common.all}
          onValue={(value) => replaceQuery({ instance: value })}
        />
      </PageHead>
      <Panel title={words.plan}>
        <Problem error={plan.error} />
        {plan.value ? <Plan key={instance} plan={plan.value} /> : !plan.error && <Loading />}
      </Panel>
      <Panel title={words.runs}>
        <Problem error={runs.error} />
        {runs.items.length === 0 && (runs.isOver ? <p class="empty">{words.noRuns}</p> : <Loading />)}
        {runs.items.length > 0 && <RunTable runs={runs.items} />}
        <MoreButton pages={runs} />
      </Panel>
    </>
  );
}

function InstanceLink({ id }: { readonly id: string }) {
  const { instances } = useLive();
  return <a href={toHash(["instances", id])}>{instances.get(id)?.label ?? id}</a>;
}

const firstShown = 20;

/** What is worst first; instances with nothing to do are only counted. */
function Plan({ plan }: { readonly plan: ResyncPlan }) {
  const [isAll, setIsAll] = useState(false);
  const wanted = plan.items
    .filter(({ due }) => due.total > 0)
    .sort(
      (a, b) => b.stretch - a.stretch || b.leftOver.total - a.leftOver.total || b.due.total - a.due.total,
    );
  const shown = isAll ? wanted : wanted.slice(0, firstShown);
  const sumOf = (value: (item: PlanItem) => number) =>
    formatNumber(wanted.reduce((sum, item) => sum + value(item), 0));
  const idle = plan.items.length - wanted.length;
  return (
    <>
      <div class="body muted">
        <p>
          {plan.window
            ? words.window(formatMoment(plan.window.from), formatMoment(plan.window.until))
            : words.off}{" "}
          {words.sum(
            sumOf(({ due }) => due.total),
            sumOf(({ fits }) => fits),
          )}{" "}
          {idle > 0 && words.idle(formatNumber(idle))}
        </p>
        <p class="small">{words.stretchHint}</p>
      </div>
      {shown.length > 0 && <PlanTable items={shown} />}
      {wanted.length > shown.length && (
        <div class="more">
          <button type="button" onClick={() => setIsAll(true)}>
            {words.showAll(formatNumber(wanted.length))}
          </button>
        </div>
      )}
    </>
  );
}

type PlanItem = ResyncPlan["items"][number];

function PlanTable({ items }: { readonly items: readonly PlanItem[] }) {
  const { columns } = words;
  return (
    <div class="table-wrap">
      <table class="cards">
        <thead>
          <tr>
            <th scope="col">{texts.common.instance}</th>
            <th scope="col">{columns.share}</th>
            {[columns.left, columns.finishes, columns.stretch].map((name) => (
              <th key={name} scope="col" class="right">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {items.map((item) => (
            <tr key={item.instanceId}>
              <td class="whole">
                <InstanceLink id={item.instanceId} />
              </td>
              <td class="whole">
                <PartBar part={item.fits} whole={item.due.total} label={words.fitting} />
              </td>
              <td class="right number" data-label={columns.left}>
                {formatNumber(item.leftOver.total)}
              </td>
              <td class="right number" data-label={columns.finishes}>
                {item.finishesAt === null ? none : formatMoment(item.finishesAt)}
              </td>
              <td class="right number" data-label={columns.stretch}>
                <span class={item.stretch > 1 ? "badge warn" : ""}>× {formatRate(item.stretch)}</span>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function PartBar({
  part,
  whole,
  label,
}: {
  readonly part: number;
  readonly whole: number;
  readonly label: (part: string, whole: string) => string;
}) {
  const [done, all] = [formatNumber(part), formatNumber(whole)];
  return (
    <ShareBar share={whole === 0 ? 0 : Math.min(1, part / whole)} label={label(done, all)}>
      <strong>{done}</strong> / {all}
    </ShareBar>
  );
}

function RunTable({ runs }: { readonly runs: readonly ResyncRun[] }) {
  const { columns } = words;
  return (
    <div class="table-wrap">
      <table class="cards">
        <thead>
          <tr>
            <th scope="col">{texts.common.instance}</th>
            <th scope="col">{columns.opened}</th>
            <th scope="col">{columns.done}</th>
            {[columns.changed, columns.left].map((name) => (
              <th key={name} scope="col" class="right">
                {name}
              </th>
            ))}
            <th scope="col">{columns.ended}</th>
          </tr>
        </thead>
        <tbody>
          {runs.map((run) => (
            <tr key={run.id}>
              <td class="whole">
                <InstanceLink id={run.instanceId} />
              </td>
              <td data-label={columns.opened}>
                {words.kinds[run.kind]}, {formatMoment(run.openedAt)}
              </td>
              <td class="whole">
                {run.planned === null ? (
                  <span class="muted">{words.unplanned}</span>
                ) : (
                  <PartBar part={run.asked} whole={run.planned} label={words.asked} />
                )}
              </td>
              <td class="right number" data-label={columns.changed}>
                {toText(run.changed)}
              </td>
              <td class="right number" data-label={columns.left}>
                {toText(run.leftOver)}
              </td>
              <td data-label={columns.ended}>
                {run.endedBy === null ? words.open : words.ends[run.endedBy]}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function toText(count: number | null): string {
  return count === null ? none : formatNumber(count);
}
