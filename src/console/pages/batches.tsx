import type { BatchState, BatchSummary } from "../../client/wire.ts";
import { call } from "../data/api.ts";
import { replaceQuery, toHash } from "../data/hash-route.ts";
import { useLive } from "../data/use-data.ts";
import { usePages, type Page } from "../data/use-pages.ts";
import { BatchBadge } from "../parts/batch-state.tsx";
import { InstanceField, SelectField } from "../parts/fields.tsx";
import { MoreButton } from "../parts/more.tsx";
import { PageHead, Panel } from "../parts/page.tsx";
import { Loading, Problem } from "../parts/problem.tsx";
import { isMasked, Reveal, useReveal } from "../parts/reveal.tsx";
import { formatMoment, formatNumber } from "../words/format.ts";
import { texts } from "../words/texts.ts";
import { NewBatch } from "./new-batch.tsx";

const words = texts.batches;

/** All batches, newest first, and a place for another file. */
export function Batches({ query }: { readonly query: URLSearchParams }) {
  const instance = query.get("instance") ?? "";
  const state = query.get("state") ?? "";
  const reveal = useReveal();
  const list = usePages(`batches ${instance} ${state} ${reveal.isRevealed}`, (cursor, signal) =>
    call<Page<BatchSummary>>("GET", "v1/batches", {
      query: { instanceId: instance, state, cursor, limit: "50" },
      headers: reveal.headers,
      signal,
    }),
  );
  return (
    <>
      <PageHead title={texts.pages.batches} />
      <NewBatch instanceId={instance} />
      <Panel
        title={words.list}
        aside={
          <div class="filters">
            <InstanceField
              value={instance}
              all={texts.common.all}
              onValue={(value) => replaceQuery({ instance: value, state })}
            />
            <SelectField
              name="state"
              label={words.state}
              value={state}
              onValue={(value) => replaceQuery({ instance, state: value })}
            >
              <option value="">{texts.common.any}</option>
              {(Object.keys(words.states) as BatchState[]).map((name) => (
                <option key={name} value={name}>
                  {words.states[name]}
                </option>
              ))}
            </SelectField>
          </div>
        }
      >
        <Problem error={list.error} />
        {list.items.length === 0 && !list.isOver && list.error === undefined && <Loading />}
        {list.items.length === 0 && list.isOver && (
          <div class="empty">
            <strong>{words.empty}</strong>
            {words.emptyHint}
          </div>
        )}
        {(reveal.isRevealed || list.items.some(({ label }) => isMasked(label))) && (
          <div class="body">
            <Reveal reveal={reveal} />
          </div>
        )}
        {list.items.length > 0 && <BatchTable items={list.items} />}
        <MoreButton pages={list} />
      </Panel>
    </>
  );
}

function BatchTable({ items }: { readonly items: readonly BatchSummary[] }) {
  const { columns } = words;
  const { instances } = useLive();
  return (
    <div class="table-wrap">
      <table class="cards">
        <thead>
          <tr>
            <th scope="col">{columns.batch}</th>
            <th scope="col">{columns.state}</th>
            <th scope="col">{texts.common.instance}</th>
            <th scope="col">{columns.source}</th>
            <th scope="col" class="right">
              {columns.contacts}
            </th>
            <th scope="col" class="right">
              {columns.requested}
            </th>
          </tr>
        </thead>
        <tbody>
          {items.map((batch) => (
            <tr key={batch.id}>
              <td class="whole">
                <div class="name">
                  <a href={toHash(["batches", batch.id])}>{batch.label ?? words.unnamed}</a>
                  <span class="id">{batch.id.slice(0, 8)}</span>
                </div>
              </td>
              <td data-label={columns.state}>
                <BatchBadge state={batch.state} />
              </td>
              <td data-label={texts.common.instance}>
                <a href={toHash(["instances", batch.instanceId])}>
                  {instances.get(batch.instanceId)?.label ?? batch.instanceId}
                </a>
              </td>
              <td data-label={columns.source}>{words.sources[batch.source] ?? batch.source}</td>
              <td class="right number" data-label={columns.contacts}>
                {formatNumber(batch.accepted)}
              </td>
              <td class="right number" data-label={columns.requested}>
                {formatMoment(batch.requestedAt)}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
