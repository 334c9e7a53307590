import type { ContactListReport } from "../domain/lookup/contact-list-report.ts";
import { explainHold } from "../domain/trouble/hold.ts";
import type { InstanceId } from "../domain/instance-id.ts";
import type { InstanceCredentials } from "../domain/outcome.ts";
import { listContacts, type ListContactsPorts } from "../intake/list-contacts.ts";
import { UserError } from "../lib/errors.ts";
import { waitForTurn } from "../lib/wait-for-turn.ts";
import type { Base } from "./base.ts";
import type { GreenApi } from "../provider/green-api.ts";
import { noteState, reserveStateCall } from "../store/work/state-calls.ts";
import { findCredentials } from "../store/instances/sealed-tokens.ts";

/**
 * The contacts that GREEN-API lists for an instance, as it wrote them: at least one. A held instance is asked all the same,
 * and stays held.
 * @throws UserError also where it is paused; the reason of the signal
 */
export type ContactLister = (
  id: InstanceId,
  signal: AbortSignal,
  ports: Pick<ListContactsPorts, "waiting">,
) => Promise<readonly string[]>;

export function createContactLister(base: Base): ContactLister {
  const { config, database, events } = base;
  const { pool } = database;

  /** The reservation is that of getStateInstance, which is allowed as often: see state-calls.ts. */
  async function ask(
    { getContacts }: Pick<GreenApi, "getContacts">,
    instanceId: InstanceId,
    signal: AbortSignal,
  ): Promise<ContactListReport> {
    let credentials = await openCredentials(base, instanceId);
    const reserve = async () => {
      // The credentials are read anew at each turn: the wait may have seen a pause, or another token.
      credentials = await openCredentials(base, instanceId);
      return reserveStateCall(pool, instanceId);
    };
    await waitForTurn({ reserve, clock: performance, signal });
    signal.throwIfAborted();
    const report = await getContacts(credentials, { signal });
    events.contactsAsked({ instanceId, report });
    await noteState(pool, instanceId, undefined).catch((error: unknown) =>
      events.ledgerFailed({ where: "note contacts call" }, error),
    );
    return report;
  }

  return async (id, signal, ports) => {
    const { createGreenApi } = await import("../provider/green-api.ts");
    const greenApi = createGreenApi({ callTimeoutMs: config.callTimeoutMs });
    try {
      return await listContacts(id, { ...ports, ask: async () => ask(greenApi, id, signal) }, signal);
    } finally {
      await greenApi.close();
    }
  };
}

/** @throws UserError `unknown-instance`, `instance-paused`, `token-unreadable` */
async function openCredentials(
  { database, secrets }: Base,
  instanceId: InstanceId,
): Promise<InstanceCredentials> {
  // URL and token are read in one look: the token is for this URL and no other.
  const instance = await findCredentials(database, instanceId);
  if (instance === undefined) throw new UserError("unknown-instance", `there is no instance ${instanceId}`);
  if (instance.state === "paused") {
    throw new UserError(
      "instance-paused",
      `instance ${instanceId} is paused, so that it is not asked for its contacts: go on with avatars instance resume ${instanceId}`,
    );
  }
  const { apiUrl, sealedToken } = instance;
  const token = secrets().open(sealedToken, { id: instanceId, apiUrl });
  if (token !== undefined) return { instanceId, apiUrl, token };
  const { text, advice } = explainHold("token-unreadable");
  throw new UserError("token-unreadable", `instance ${instanceId}: ${text}; ${advice}`);
}
