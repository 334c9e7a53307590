import type { AuditRecord } from "../../client/wire.ts";
import { call } from "../data/api.ts";
import { usePages, type Page } from "../data/use-pages.ts";
import { MoreButton } from "../parts/more.tsx";
import { PageHead, Panel } from "../parts/page.tsx";
import { Loading, Problem } from "../parts/problem.tsx";
import { formatMoment } from "../words/format.ts";
import { texts } from "../words/texts.ts";

const words = texts.audit;
const { none } = texts.common;

/** Who did what, newest first. */
export function Audit() {
  const list = usePages("audit", (cursor, signal) =>
    call<Page<AuditRecord>>("GET", "v1/audit", { query: { cursor, limit: "50" }, signal }),
  );
  const { columns } = words;
  return (
    <>
      <PageHead title={texts.pages.audit} />
      <Panel title={words.list}>
        <Problem error={list.error} />
        {list.items.length === 0 &&
          !list.error &&
          (list.isOver ? <p class="empty">{words.empty}</p> : <Loading />)}
        {list.items.length > 0 && (
          <div class="table-wrap">
            <table class="cards">
              <thead>
                <tr>
                  <th scope="col">{columns.action}</th>
                  <th scope="col">{columns.who}</th>
                  <th scope="col">{columns.subject}</th>
                  <th scope="col">{columns.detail}</th>
                  <th scope="col" class="right">
                    {columns.at}
                  </th>
                </tr>
              </thead>
              <tbody>
                {list.items.map((record) => (
                  <tr key={record.id}>
                    <td class="whole">
                      <strong>{record.action}</strong>
                    </td>
                    <td data-label={columns.who}>
                      {record.actor.name ?? record.actor.id ?? record.actor.kind}
                    </td>
                    <td data-label={columns.subject}>{record.subjectId ?? record.instanceId ?? none}</td>
                    <td data-label={columns.detail}>
                      <code>{toDetail(record.detail)}</code>
                    </td>
                    <td class="right number" data-label={columns.at}>
                      {formatMoment(record.at)}
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )}
        <MoreButton pages={list} />
      </Panel>
    </>
  );
}

function toDetail(detail: AuditRecord["detail"]): string {
  return Object.entries(detail)
    .map(([name, value]) => `${name}: ${toWord(value)}`)
    .join(", ");
}

function toWord(value: AuditRecord["detail"][string]): string {
  if (value === null || typeof value !== "object") return String(value);
  if ("from" in value) return `${String(value.from)} → ${String(value.to)}`;
  return value.join(" ");
}
