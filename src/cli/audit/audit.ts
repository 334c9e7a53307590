import type { App } from "../../app/app.ts";
import type { AuditDetail, AuditFilter, AuditRecord } from "../../domain/audit.ts";
import type { InstanceId } from "../../domain/instance-id.ts";
import { writeJson, writeLine, type CommandIo } from "../terminal/io.ts";
import { formatTable } from "../terminal/table.ts";
import { withApp } from "../terminal/with-app.ts";

export interface AuditOptions {
  readonly instance?: InstanceId;
  readonly actor?: string;
  readonly action?: string;
  readonly subject?: string;
  /** Ms before now. */
  readonly since?: number;
  readonly limit: number;
  readonly json: boolean;
}

const pageLimit = 1_000;

/** `avatars audit` */
export async function showAudit(options: AuditOptions, io: CommandIo): Promise<number> {
  return withApp(io, async (app) => {
    const records = await readAudit(app, options);
    if (options.json) return writeJson(io.stdout, records);
    if (records.length === 0) return writeLine(io.stdout, "no rows");
    const rows = records.map((record) => [
      record.at.toISOString(),
      formatActor(record),
      record.action,
      record.subjectId ?? record.instanceId ?? "",
      formatDetail(record.detail),
    ]);
    for (const line of formatTable(["at", "by", "action", "subject", "detail"], rows))
      writeLine(io.stdout, line);
  });
}

async function readAudit(
  { audit }: App,
  { instance, actor, action, subject, since, limit }: AuditOptions,
): Promise<AuditRecord[]> {
  const filter: AuditFilter = {
    instanceIds: instance === undefined ? undefined : [instance],
    actor,
    action,
    subjectId: subject,
    contactHash: undefined,
    from: since === undefined ? undefined : new Date(Date.now() - since),
    until: undefined,
  };
  const records: AuditRecord[] = [];
  let after: string | undefined;
  do {
    const page = await audit.list(filter, { after, limit: Math.min(pageLimit, limit - records.length) });
    records.push(...page.items);
    after = page.next;
  } while (after !== undefined && records.length < limit);
  return records;
}

function formatActor({ actor }: AuditRecord): string {
  if (actor.kind === "key")
    return `key ${actor.id ?? ""}${actor.name === undefined ? "" : ` (${actor.name})`}`;
  return actor.kind === "cli" ? `command line: ${actor.name ?? ""}` : "worker";
}

/** Labels in it may hold line breaks: JSON writes them as text. */
function formatDetail(detail: AuditDetail): string {
  return Object.entries(detail)
    .map(([name, value]) =>
      typeof value === "object" && value !== null && "from" in value
        ? `${name} ${formatValue(value.from)} → ${formatValue(value.to)}`
        : `${name} ${JSON.stringify(value)}`,
    )
    .join(", ");
}

function formatValue(value: unknown): string {
  return value === null ? "none" : JSON.stringify(value);
}
