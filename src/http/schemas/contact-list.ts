import { z } from "zod";
import { contactStatuses, type ContactStatus } from "../../domain/contact-status.ts";
import { mostCounted } from "../../domain/views/contact-filter.ts";
import { instanceIdInput, listQuery, momentQuery, nextCursor, pageQuery } from "./common.ts";
import { contactSchema } from "./contact.ts";

export const contactListQuery = pageQuery.extend({
  instanceId: instanceIdInput.optional(),
  status: listQuery(contactStatuses).optional(),
  changedSince: momentQuery.optional().meta({
    description:
      "Only those whose avatar has become another one since then, the latest first: ISO 8601. A first sighting is no change.",
  }),
});

export const contactListSchema = z
  .object({ items: z.array(contactSchema), next: nextCursor })
  .meta({ id: "ContactList" });

export const contactCountsQuery = z.strictObject({ instanceId: instanceIdInput.optional() });

export const contactCountsSchema = z
  .object({
    counts: z.object(
      Object.fromEntries(contactStatuses.map((status) => [status, z.int()])) as Record<
        ContactStatus,
        z.ZodInt
      >,
    ),
    mostCounted: z
      .int()
      .meta({ description: `A count of ${mostCounted} says that there are so many, or more.` }),
  })
  .meta({ id: "ContactCounts" });
