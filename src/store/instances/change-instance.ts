import { eq } from "drizzle-orm";
import type { InstanceId } from "../../domain/instance-id.ts";
import type { CredentialJudgement, StoredCredentials } from "../../domain/judge-credentials.ts";
import type { InstanceSettings, InstanceView } from "../../domain/views/instance-view.ts";
import type { Database } from "../postgres/database.ts";
import { instanceColumns, renewal, toLabel, toView } from "./instances.ts";
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
 */
export async function changeInstance<Refusal>(
  { orm }: Database,
  id: InstanceId,
  changes: InstanceSettings,
  judge: (before: StoredCredentials) => CredentialJudgement<Refusal>,
): Promise<InstanceChanged<Refusal>> {
  const { apiUrl, requestsPerSecond, maxInFlight, resyncShare, resyncDayShare } = changes;
  const label = toLabel(changes.label);
  const settings = { apiUrl, label, requestsPerSecond, maxInFlight, resyncShare, resyncDayShare };
  const isOf = eq(instances.id, id);
  return orm.transaction(async (transaction) => {
    const [found] = await transaction
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
    const [row] = await transaction.update(instances).set(set).where(isOf).returning(instanceColumns);
    if (row === undefined) return { kind: "unknown" };
    const after = toView(row);
    return { kind: "changed", before, after, isTested: renews && after.state === "held" };
  });
}
