import { eq } from "drizzle-orm";
import { drizzle } from "drizzle-orm/node-postgres";
import type { Actor, AuditDetail } from "../../domain/audit.ts";
import type { InstanceId } from "../../domain/instance-id.ts";
import type { CredentialJudgement, StoredCredentials } from "../../domain/judge-credentials.ts";
import type { InstanceSettings, InstanceView } from "../../domain/views/instance-view.ts";
import { recordAudit } from "../audit/record-audit.ts";
import type { Database } from "../postgres/database.ts";
import { inTransaction } from "../postgres/in-transaction.ts";
import { instanceColumns, renewal, toCareColumns, toLabel, toView } from "./instances.ts";
import { instances } from "../schema/instances.ts";

/** An instance as it was and as it is. */
export interface InstanceUpdate {
  readonly kind: "changed";
  readonly before: InstanceView;
  readonly after: InstanceView;
  /** It is held, and its new credentials are tried at once: the caller wakes the workers. */
  readonly isTested: boolean;
}

export type InstanceChanged<Refusal> =
  | InstanceUpdate
  | { readonly kind: "refused"; readonly refusal: Refusal }
  | { readonly kind: "unknown" };

/**
 * Changes what is given, from the next renewal on. The token is judged under the row's lock: no other change comes between the
 * judgement and the write. New credentials put a hold to the test.
 * @param by undefined: the product itself
 */
export async function changeInstance<Refusal>(
  { pool }: Database,
  id: InstanceId,
  changes: InstanceSettings,
  judge: (before: StoredCredentials) => CredentialJudgement<Refusal>,
  by?: Actor,
): Promise<InstanceChanged<Refusal>> {
  const { apiUrl, requestsPerSecond, maxInFlight, resyncShare, resyncDayShare } = changes;
  const label = toLabel(changes.label);
  const care = toCareColumns(changes);
  const settings = { apiUrl, label, requestsPerSecond, maxInFlight, resyncShare, resyncDayShare, ...care };
  const isOf = eq(instances.id, id);
  return inTransaction(pool, async (client) => {
    const orm = drizzle(client);
    const [found] = await orm
      .select({ ...instanceColumns, sealedToken: instances.sealedToken })
      .from(instances)
      .where(isOf)
      .for("no key update");
    if (found === undefined) return { kind: "unknown" };
    const judgement = judge(found);
    if (judgement.kind === "refused") return judgement;
    const before = toView(found);
    const { sealedToken, renews } = judgement;
    const set = { ...settings, sealedToken, ...(renews && renewal) };
    // Without a column to set there is no statement.
    if (Object.values(set).every((value) => value === undefined))
      return { kind: "changed", before, after: before, isTested: false };
    const [row] = await orm.update(instances).set(set).where(isOf).returning(instanceColumns);
    if (row === undefined) return { kind: "unknown" };
    const after = toView(row);
    await recordAudit(client, by, {
      action: "instance.changed",
      subjectId: id,
      instanceId: id,
      detail: toDetail(before, after, renews),
    });
    return { kind: "changed", before, after, isTested: renews && after.state === "held" };
  });
}

const audited = [
  "apiUrl",
  "label",
  "requestsPerSecond",
  "maxInFlight",
  "resyncShare",
  "resyncDayShare",
  "callsPerDay",
  "quietHours",
  "quietInteractive",
  "timeZone",
] as const satisfies readonly (keyof InstanceView)[];

/** The settings that differ, before and after. Of a token it only says that it is another one. */
function toDetail(before: InstanceView, after: InstanceView, renews: boolean): AuditDetail {
  const changes = audited
    .filter((name) => before[name] !== after[name])
    .map((name) => [name, { from: before[name] ?? null, to: after[name] ?? null }] as const);
  return { ...Object.fromEntries(changes), ...(renews && { credentials: "new" }) };
}
