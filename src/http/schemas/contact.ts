import { z } from "zod";
import { imageFields, toImageFields } from "./image.ts";
import type { AvatarChange, ContactView } from "../../domain/views/contact-view.ts";
import { contactStatuses, statusMeanings, type ContactStatus } from "../../domain/contact-status.ts";
import {
  chatIdInput,
  chatIdOutput,
  contactIdOutput,
  externalRefOutput,
  instanceIdInput,
  instanceIdOutput,
  moment,
  nextCursor,
  orNull,
  pageQuery,
  storableText,
  toMs,
} from "./common.ts";

const maxLookups = 1000;
const maxWaitMs = 60_000;

export const contactParams = z.object({ id: instanceIdInput, chatId: chatIdInput });

export const contactIdParams = z.object({
  contactId: z
    .string()
    .regex(/^\d{1,15}$/, "Expected the `contactId` of a contact: up to 15 digits")
    .transform(Number)
    .meta({ description: "The contact's own id, as lists tell it.", examples: ["1093"] }),
});

export const contactSchema = z
  .object({
    contactId: contactIdOutput,
    instanceId: instanceIdOutput,
    chatId: chatIdOutput,
    externalRef: externalRefOutput,
    status: z.enum(contactStatuses).meta({
      description:
        "The last answer: `present`, `absent` (not set, or no WhatsApp account), `hidden` (by privacy settings), `invalid` (no chat that the provider accepts), `unreachable` (no clear answer after all attempts), `unknown` (no answer yet).",
    }),
    avatar: z
      .object({
        url: z.string().nullable().meta({
          description:
            "Null: there is no picture, or, while the status is `present`, the answer had the picture itself and no URL.",
        }),
        urlExpiresAt: moment.nullable(),
        version: z.string().nullable().meta({
          description:
            "The same for all URLs of one picture. Null: there is no picture, or, beside a `url`, its host tells none from another and no image of it is kept: whether it changes is unknown.",
        }),
        changedAt: moment.meta({ description: "When this picture was first seen, or that there is none." }),
        seenAt: moment.meta({ description: "When it was last seen." }),
      })
      .nullable()
      .meta({
        description:
          "The last good one, also while the status is no answer about it; null: none was ever seen.",
      }),
    ...imageFields,
    missing: z
      .object({
        reason: z.enum([
          "not-asked",
          "no-picture",
          "hidden",
          "no-such-chat",
          "no-answer",
          "url-expired",
          "not-kept",
        ]),
        detail: z.string(),
      })
      .nullable()
      .meta({ description: "Why there is neither an image nor a usable URL; null: there is one of them." }),
    checkedAt: moment
      .nullable()
      .meta({ description: "When the call behind the last clear answer was sent." }),
    pending: z.boolean().meta({ description: "It has been asked for, and waits for the answer." }),
    dueAt: moment.nullable().meta({
      description: "When it is asked next, or due by the refresh policy; null: with the next request for it.",
    }),
    attempts: z.int().meta({ description: "Calls spent since it was last asked for." }),
    lastError: z.string().nullable(),
    createdAt: moment,
  })
  .meta({ id: "Contact" });

export const lookupSchema = z
  .strictObject({
    instanceId: instanceIdInput,
    chatIds: z.array(storableText(1000)).min(1).max(maxLookups),
  })
  .meta({ id: "ContactLookup" });

export const lookupResultSchema = z
  .object({
    items: z
      .array(
        z.object({
          index: z.int(),
          contact: contactSchema.nullable(),
          reason: z.enum(["unknown-contact", "invalid"]).optional(),
          detail: z.string().optional(),
        }),
      )
      .meta({ description: "In the order of the request." }),
  })
  .meta({ id: "ContactLookupResult" });

export const refreshQuery = z.strictObject({
  wait: z
    .string()
    .max(20)
    .regex(/^\d+(\.\d+)?\s*(ms|s|m)?$/i)
    .default("15s")
    .transform((text, context) => Math.min(maxWaitMs, toMs(text, context)))
    .meta({ description: "How long to wait for the answer: `15s`, at most `60s`; `0` does not wait." }),
});

export const refreshStopSchema = z
  .object({
    reason: z.enum(["paused", "held", "quiet", "capped"]).meta({
      description:
        "The instance is paused; held for trouble; in its quiet hours; or its calls of the day are used up.",
    }),
    until: moment
      .nullable()
      .meta({ description: "When it is called again, or tried; null: when a person resumes it." }),
  })
  .meta({ id: "RefreshStop" });

export type RefreshStop = z.output<typeof refreshStopSchema>;

export const refreshPendingSchema = z
  .object({
    batchId: z.uuid().meta({ description: "The batch of this one contact, to follow." }),
    contact: contactSchema
      .nullable()
      .meta({ description: "As it was when the time was up; null: erased meanwhile." }),
    stopped: refreshStopSchema
      .nullable()
      .meta({ description: "Why it is not asked yet, and until when; null: it is being asked." }),
  })
  .meta({ id: "RefreshPending" });

export const changeSchema = z
  .object({
    id: z.int(),
    instanceId: instanceIdOutput,
    chatId: chatIdOutput,
    externalRef: externalRefOutput,
    from: z.string().nullable().meta({
      description:
        "The version before; null: no picture, or none known; `unknown`: a picture, and which one is not known.",
    }),
    to: z
      .string()
      .nullable()
      .meta({ description: "The version since; null: no picture; `unknown`: as in `from`." }),
    at: moment.meta({ description: "When the call that saw it was sent." }),
    url: z.string().nullable().meta({ description: "Of `to`, while it is still the current one." }),
    urlExpiresAt: moment.nullable(),
    fromImageSha256: z.string().nullable().meta({ description: "The image before, where one was taken." }),
    fromImageKept: z.boolean().meta({ description: "The bytes of the image before are still kept." }),
    ...imageFields,
    imageKept: z.boolean().meta({ description: "The bytes of the image since are still kept." }),
  })
  .meta({ id: "AvatarChange" });

export const historySchema = z
  .object({ items: z.array(changeSchema), next: nextCursor })
  .meta({ id: "AvatarHistory" });
export const historyQuery = pageQuery;

export const changesQuery = pageQuery.extend({ instanceId: instanceIdInput.optional() });
export const changesSchema = z
  .object({
    items: z.array(changeSchema),
    next: z
      .string()
      .meta({ description: "Read on from here, now or later: nothing is missed and nothing repeated." }),
    more: z.boolean().meta({ description: "There may be more at once." }),
  })
  .meta({ id: "AvatarChanges" });

type MissingReason = NonNullable<z.output<typeof contactSchema>["missing"]>["reason"];

const missingDetails: Record<MissingReason, string> = {
  "not-asked": "it has not been asked for yet",
  "no-picture": statusMeanings.absent,
  hidden: "its privacy settings hide it from this account",
  "no-such-chat": "the provider does not accept it as a chat",
  "no-answer": "there was no clear answer after all attempts",
  "url-expired": "its URL has expired; a refresh gives a new one",
  "not-kept": "the provider gave the picture without a URL, and no image of it is kept (yet)",
};

const missingByStatus: Record<ContactStatus, MissingReason> = {
  present: "not-kept",
  absent: "no-picture",
  hidden: "hidden",
  invalid: "no-such-chat",
  unreachable: "no-answer",
  unknown: "not-asked",
};

function toMissing({ status, avatar, image, attempts }: ContactView, now: Date) {
  const isUsable =
    image.sha256 !== undefined ||
    (avatar?.url !== undefined && (avatar.urlExpiresAt === undefined || avatar.urlExpiresAt > now));
  if (isUsable) return null;
  if (avatar?.url === undefined && status === "unknown" && attempts > 0) {
    return { reason: "no-answer" as const, detail: "it has been asked, without a clear answer so far" };
  }
  const reason = avatar?.url !== undefined ? "url-expired" : missingByStatus[status];
  return { reason, detail: missingDetails[reason] };
}

/**
 * The contact as the wire has it.
 * @param now decides whether a URL has expired
 */
export function toContact(contact: ContactView, now: Date): z.output<typeof contactSchema> {
  const { avatar } = contact;
  return {
    contactId: String(contact.contactId),
    instanceId: contact.instanceId,
    chatId: contact.chatId,
    externalRef: orNull(contact.externalRef),
    status: contact.status,
    avatar: avatar
      ? {
          url: orNull(avatar.url),
          urlExpiresAt: orNull(avatar.urlExpiresAt),
          version: orNull(avatar.version),
          changedAt: avatar.changedAt,
          seenAt: avatar.seenAt,
        }
      : null,
    ...toImageFields(contact.image),
    missing: toMissing(contact, now),
    checkedAt: orNull(contact.checkedAt),
    pending: contact.pending,
    dueAt: orNull(contact.dueAt),
    attempts: contact.attempts,
    lastError: orNull(contact.lastError),
    createdAt: contact.createdAt,
  };
}

/** The change as the wire has it. */
export function toChange(change: AvatarChange): z.output<typeof changeSchema> {
  return {
    ...change,
    externalRef: orNull(change.externalRef),
    from: orNull(change.from),
    to: orNull(change.to),
    url: orNull(change.url),
    urlExpiresAt: orNull(change.urlExpiresAt),
    fromImageSha256: orNull(change.fromImageSha256),
    ...toImageFields(change.image),
  };
}
