import type { InstanceId } from "./instance-id.ts";

/** What the audit log tells of: changes that a person or a program asked for, and the showing of numbers. */
export const auditActions = [
  "instance.added",
  "instance.changed",
  "instance.paused",
  "instance.resumed",
  "instance.removed",
  "instance.hook-set",
  "instance.hook-removed",
  "batch.created",
  "batch.cancelled",
  "batch.retried",
  "contact.erased",
  "contact.revealed",
  "key.created",
  "key.revoked",
  "resync.opened",
  "images.repaired",
  "webhook.added",
  "webhook.changed",
  "webhook.enabled",
  "webhook.disabled",
  "webhook.rotated",
  "webhook.replayed",
  "webhook.redelivered",
  "webhook.tested",
  "webhook.removed",
] as const;
export type AuditAction = (typeof auditActions)[number];

/** Who did it: a key of the API, a person at the command line, or a worker by itself. */
export type Actor =
  | {
      readonly kind: "key";
      readonly id: string;
      /** The label of the key at that time. */
      readonly name: string | undefined;
      readonly requestId: string;
      /** As callers are counted: an address, of IPv6 its network. */
      readonly address: string;
    }
  | { readonly kind: "cli"; /** The user of the operating system. */ readonly name: string }
  | { readonly kind: "worker" };

export const actorKinds = ["key", "cli", "worker"] as const satisfies readonly Actor["kind"][];

/** What was done, for a row that is written in the transaction of what it tells of. No secret and no chat id may be in it. */
export interface AuditEntry {
  readonly action: AuditAction;
  /** The id of the subject that the action names: of an instance, a batch, a key. Undefined: the action says it all. */
  readonly subjectId?: string | undefined;
  /** Undefined: it is about no instance, or about several. */
  readonly instanceId?: InstanceId | undefined;
  /** Of a contact: a hash by a key of the installation, which is taken out when the contact is erased. */
  readonly contactHash?: string | undefined;
  readonly detail?: AuditDetail | undefined;
}

/** A few facts by name: plain values, or the value before and after. */
export type AuditDetail = Readonly<
  Record<string, AuditValue | readonly string[] | { readonly from: AuditValue; readonly to: AuditValue }>
>;
export type AuditValue = string | number | boolean | null;

/** A row of the audit log. */
export interface AuditRecord {
  readonly id: number;
  readonly at: Date;
  readonly actor: {
    readonly kind: Actor["kind"];
    readonly id: string | undefined;
    readonly name: string | undefined;
  };
  readonly action: string;
  readonly subjectId: string | undefined;
  readonly instanceId: InstanceId | undefined;
  readonly contactHash: string | undefined;
  readonly detail: AuditDetail;
  readonly requestId: string | undefined;
  readonly address: string | undefined;
}

/** Which rows are wanted; undefined does not narrow them. */
export interface AuditFilter {
  /** The instances that the reader may see: rows about none are not among them. */
  readonly instanceIds: readonly InstanceId[] | undefined;
  /** The id of a key, or the name of a user of the command line, or `worker`. */
  readonly actor: string | undefined;
  /** An action, or with a `.` at its end all that begin so: `instance.`. */
  readonly action: string | undefined;
  readonly subjectId: string | undefined;
  readonly contactHash: string | undefined;
  /** From this moment on, and before that one. */
  readonly from: Date | undefined;
  readonly until: Date | undefined;
}
