import type { ResyncPlan, ResyncRun } from "../../client/wire.ts";
import { call } from "../data/api.ts";
import { replaceQuery, toHash } from "../data/hash-route.ts";
import { useLive, useLoaded } from "../data/use-data.ts";
import { usePages, type Page } from "../data/use-pages.ts";
import { InstanceField } from "../parts/fields.tsx";
import { MoreButton } from "../parts/more.tsx";
import { PageHead, Panel } from "../parts/page.tsx";
import { Loading, Problem } from "../parts/problem.tsx";
import { formatMoment, formatNumber } from "../words/format.ts";
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
  const window = plan.value?.window;
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
        {plan.value && (
          <p class="body muted">
            {window ? words.window(formatMoment(window.from), formatMoment(window.until)) : words.off}
          </p>
        )}
        {plan.value ? <PlanTable plan={plan.value} /> : !plan.error && <Loading />}
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

function PlanTable({ plan }: { readonly plan: ResyncPlan }) {
  const { columns } = words;
  return (
    <div class="table-wrap">
      <table class="cards">
        <thead>
          <tr>
            <th scope="col">{texts.common.instance}</th>
            {[columns.due, columns.fits, columns.left, columns.finishes, columns.stretch].map((name) => (
              <th key={name} scope="col" class="right">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {plan.items.map((item) => (
            <tr key={item.instanceId}>
              <td class="whole">
                <InstanceLink id={item.instanceId} />
              </td>
              <td class="right number" data-label={columns.due}>
                {formatNumber(item.due.total)}
              </td>
              <td class="right number" data-label={columns.fits}>
                {formatNumber(item.fits)}
              </td>
              <td class="right number" data-label={columns.left}>
                {formatNumber(item.leftOver.total)}
              </td>
              <td class="right number" data-label={columns.finishes}>
                {item.finishesAt === null ? none : formatMoment(item.finishesAt)}
              </td>
              <td class="right number" data-label={columns.stretch}>
                × {item.stretch}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
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
            {[columns.planned, columns.asked, columns.changed, columns.left].map((name) => (
              <th key={name} scope="col" class="right">
                {name}
              </th>
            ))}
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
              <td class="right number" data-label={columns.planned}>
                {toText(run.planned)}
              </td>
              <td class="right number" data-label={columns.asked}>
                {toText(run.asked)}
              </td>
              <td class="right number" data-label={columns.changed}>
                {toText(run.changed)}
              </td>
              <td class="right number" data-label={columns.left}>
                {toText(run.leftOver)}
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
