import type { ContactStatus } from "../contact-status.ts";
import type { InstanceId } from "../instance-id.ts";
import type { ResyncKind } from "./resync-run.ts";

/** The contacts that are meant, whether they are due or not; undefined does not narrow them. */
export interface RefreshFilter {
  readonly statuses: readonly ContactStatus[] | undefined;
  readonly kind: "user" | "group" | undefined;
  /** The least age of the last clear answer, ms. */
  readonly olderThanMs: number | undefined;
}

/** A refresh of an instance's contacts that a person asks for. */
export interface ManualResync {
  readonly instanceId: InstanceId;
  /** The contacts to refresh; undefined: those that are due. */
  readonly filter: RefreshFilter | undefined;
  /** Contacts at most: those that are worth most; of a filter, those that were not asked for longest. */
  readonly mostContacts: number | undefined;
}

/** The outcome of a {@link ManualResync}. */
export interface OpenedResync {
  readonly instanceId: InstanceId;
  /** The run that asks; `night`: one is under way, which takes what was asked for first. */
  readonly runId: number;
  readonly kind: ResyncKind;
  /** Contacts that it is to ask. */
  readonly contacts: number;
}
