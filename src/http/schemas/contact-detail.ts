import { z } from "zod";
import type { ContactDetail } from "../../domain/views/contact-detail.ts";
import { toIntervalMs, toRefreshCause } from "../../domain/refresh/refresh-step.ts";
import { moment, orNull } from "./common.ts";
import { contactSchema, refreshStopSchema, toContact, type RefreshStop } from "./contact.ts";

const nextReasons = [
  "asked",
  "retry",
  "resync",
  "requested",
  "never-asked",
  "expiring-url",
  "age",
  "unlisted",
  "request-only",
] as const;

const nextCallSchema = z
  .object({
    reason: z.enum(nextReasons).meta({
      description:
        "Due: `asked` (a request waits for it), `retry` (calls had no clear answer; it waits for its backoff), `resync` (a night asks for it). At rest, until the refresh policy makes it due: `requested` (by a person), `never-asked`, `expiring-url`, `age`. At rest for good: `unlisted` (gone from the source query's list), `request-only`.",
    }),
    at: moment.nullable().meta({ description: "When it is due, or was; null: only when it is asked for." }),
    priority: z
      .int()
      .nullable()
      .meta({ description: "While it is due: 0 interactive, 1 import, 2 resync. Null: it rests." }),
    intervalSeconds: z
      .number()
      .nullable()
      .meta({ description: "Beside `age`: from one look to the next, by its status and its habits." }),
    stopped: refreshStopSchema
      .nullable()
      .meta({ description: "Why its instance is not called now, and until when; null: it is." }),
  })
  .meta({ id: "NextCall" });

const imageStateSchema = z
  .object({
    state: z.enum(["kept", "wanted", "refused", "none", "off"]).meta({
      description:
        "Of the picture that was seen last: `kept`; `wanted` (it is being taken, or tried again); `refused` (it cannot be shown, for `error`); `none` (there is no picture); `off` (no images are served).",
    }),
    wantedAt: moment.nullable().meta({ description: "When it is taken, or tried again." }),
    attempts: z.int().meta({ description: "Tries in vain." }),
    error: z.string().nullable().meta({ description: "A code: why the last try failed." }),
  })
  .meta({ id: "ImageState" });

export const contactDetailSchema = contactSchema
  .extend({ next: nextCallSchema, imageState: imageStateSchema })
  .meta({ id: "ContactDetail" });

/**
 * The contact as the wire has it, with what becomes of it next.
 * @param stopped why its instance is not called now; undefined: it is
 */
export function toContactDetail(
  contact: ContactDetail,
  now: Date,
  stopped: RefreshStop | undefined,
): z.output<typeof contactDetailSchema> {
  return {
    ...toContact(contact, now),
    next: toNextCall(contact, stopped),
    imageState: toImageState(contact),
  };
}

function toNextCall(
  contact: ContactDetail,
  stopped: RefreshStop | undefined,
): z.output<typeof nextCallSchema> {
  const { schedule, dueAt, priority } = contact;
  const reason = toReason(contact);
  return {
    reason,
    at: orNull(dueAt),
    priority: schedule.isDue ? priority : null,
    intervalSeconds: reason === "age" ? Math.round(toIntervalMs(schedule.refreshStep) / 1000) : null,
    stopped: stopped ?? null,
  };
}

function toReason({ schedule, dueAt, attempts, pending }: ContactDetail): (typeof nextReasons)[number] {
  if (schedule.isDue) {
    if (attempts > 0) return "retry";
    return schedule.isOfResync && !pending ? "resync" : "asked";
  }
  if (dueAt !== undefined) return toRefreshCause(schedule.refreshStep);
  return schedule.isListed === false ? "unlisted" : "request-only";
}

function toImageState({ image, imageTaking }: ContactDetail): z.output<typeof imageStateSchema> {
  const { wantedAt, attempts = 0, error } = imageTaking ?? {};
  const rest = { wantedAt: orNull(wantedAt), attempts, error: orNull(error) };
  if (image.url === undefined) return { state: "off", ...rest };
  if (imageTaking === undefined) return { state: "none", ...rest };
  if (wantedAt !== undefined) return { state: "wanted", ...rest };
  return { state: error === undefined && image.sha256 !== undefined ? "kept" : "refused", ...rest };
}
