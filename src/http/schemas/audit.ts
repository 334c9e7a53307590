import { z } from "zod";
import { actorKinds, auditActions, type AuditRecord } from "../../domain/audit.ts";
import {
  chatIdInput,
  instanceIdInput,
  instanceIdOutput,
  moment,
  momentQuery,
  nextCursor,
  orNull,
  pageQuery,
  storableText,
} from "./common.ts";

export const auditQuery = pageQuery.extend({
  instanceId: instanceIdInput.optional(),
  actor: storableText(200).optional().meta({
    description: "The id of a key, the name of a user of the command line, or `worker`.",
  }),
  action: z
    .string()
    .max(50)
    .regex(
      /^[a-z-]+\.(?:[a-z-]+)?$/,
      "Expected an action such as instance.paused, or the beginning of several, such as instance.",
    )
    .optional()
    .meta({
      description: `One of ${auditActions.map((action) => `\`${action}\``).join(", ")}; \`instance.\`, with the dot: all that begin so.`,
      examples: ["instance.paused"],
    }),
  subject: storableText(200).optional().meta({ description: "The id of a batch, a key, or an instance." }),
  contact: chatIdInput
    .optional()
    .meta({ description: "Where this contact's number was shown. An erased contact is in no row." }),
  from: momentQuery.optional().meta({ description: "From this moment on: ISO 8601." }),
  until: momentQuery.optional().meta({ description: "Before this moment: ISO 8601." }),
});

const value = z.union([z.string(), z.number(), z.boolean(), z.null()]);

const auditRecordSchema = z
  .object({
    id: z.int(),
    at: moment,
    actor: z.object({
      kind: z.enum(actorKinds).meta({
        description: "`key`: over this API; `cli`: at the command line; `worker`: by itself.",
      }),
      id: z.string().nullable().meta({ description: "Of a key." }),
      name: z.string().nullable().meta({
        description: "The label that the key had then, or the user of the operating system.",
      }),
    }),
    action: z.string().meta({ examples: [...auditActions] }),
    subjectId: z.string().nullable().meta({ description: "Of an instance, a batch, a key or a run." }),
    instanceId: instanceIdOutput.nullable(),
    contact: z
      .string()
      .nullable()
      .meta({ description: "A keyed hash that is the same for the same contact; null when it was erased." }),
    detail: z
      .record(z.string(), z.union([value, z.array(z.string()), z.object({ from: value, to: value })]))
      .meta({ description: "A few facts, such as a setting before and after. Never a secret or a number." }),
    requestId: z.string().nullable(),
    address: z.string().nullable().meta({ description: "Of the caller; of IPv6 the first 64 bits." }),
  })
  .meta({ id: "AuditRecord" });

export const auditListSchema = z
  .object({ items: z.array(auditRecordSchema), next: nextCursor })
  .meta({ id: "AuditList" });

export const revealSchema = z
  .strictObject({
    instanceId: instanceIdInput,
    chatIds: z
      .array(chatIdInput)
      .min(1)
      .max(1000)
      .meta({ description: "The contacts whose numbers are shown." }),
  })
  .meta({ id: "Reveal" });

export function toAuditRecord(record: AuditRecord): z.output<typeof auditRecordSchema> {
  const { id, at, actor, action, detail } = record;
  return {
    id,
    at,
    actor: { kind: actor.kind, id: orNull(actor.id), name: orNull(actor.name) },
    action,
    subjectId: orNull(record.subjectId),
    instanceId: orNull(record.instanceId),
    contact: orNull(record.contactHash),
    detail: detail as z.output<typeof auditRecordSchema>["detail"],
    requestId: orNull(record.requestId),
    address: orNull(record.address),
  };
}
