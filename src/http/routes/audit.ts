import { z } from "zod";
import type { Actor, AuditFilter, AuditRecord } from "../../domain/audit.ts";
import type { ChatId } from "../../domain/chat-id.ts";
import type { InstanceId } from "../../domain/instance-id.ts";
import type { Page, PageRequest } from "../../domain/page.ts";
import { mapInTurns } from "../../lib/in-turns.ts";
import { decodeCursor, encodeCursor } from "../answers/cursor.ts";
import { invalidRequest } from "../answers/to-api-error.ts";
import type { ApiContext, ParseContactId, ZodApi } from "../context/api-context.ts";
import { answer, describe, problems } from "../openapi/describe.ts";
import { assertThere, assertVisible, getKey, type FindInstance } from "../requests/access.ts";
import { toActor } from "../requests/actor.ts";
import { assertNoNumber } from "../requests/console-masking.ts";
import { auditListSchema, auditQuery, revealSchema, toAuditRecord } from "../schemas/audit.ts";

interface AuditPorts {
  readonly audit: {
    /** The newest first. A page may be short, or empty, and not the last. */
    list(filter: AuditFilter, page: PageRequest): Promise<Page<AuditRecord>>;
    /** Writes down that the numbers of these contacts were shown. */
    noteReveal(by: Actor, instanceId: InstanceId, chatIds: readonly ChatId[]): Promise<void>;
    /** The hash that names a contact in the log. */
    hashContact(chatId: ChatId): string;
  };
  readonly instances: { readonly find: FindInstance };
  readonly parseContactId: ParseContactId;
}

const audit = { scopes: ["audit"] } as const;
const read = { scopes: ["read"] } as const;

const listAuditSchema = {
  ...describe({
    id: "listAudit",
    tag: "Audit",
    summary: "Who did what, the newest first.",
    description:
      "A row for each change that was asked for over this API or at the command line, written in the same transaction. Refreshes of single contacts are not among them. A key that is limited to some instances sees the rows of these.",
    access: audit,
  }),
  querystring: auditQuery,
  response: {
    200: answer("A page.", auditListSchema),
    ...problems(audit, "invalid-request", "invalid-cursor", "not-found"),
  },
};

/** `GET /v1/audit` */
export function addListAudit(api: ZodApi, { ports }: ApiContext<AuditPorts>): void {
  api.get("/v1/audit", { config: { access: audit }, schema: listAuditSchema }, async (request, reply) => {
    const key = getKey(request);
    const { instanceId, actor, action, subject, contact, from, until, cursor, limit } = request.query;
    if (instanceId !== undefined) assertVisible(key, instanceId);
    assertNoNumber(request, contact);
    const filter = {
      instanceIds: instanceId === undefined ? key.instanceIds : [instanceId],
      actor,
      action,
      subjectId: subject,
      contactHash: contact === undefined ? undefined : ports.audit.hashContact(readContact(ports, contact)),
      from,
      until,
    };
    const page = await ports.audit.list(filter, { after: decodeCursor(cursor), limit });
    return reply.type("application/json").send({
      items: page.items.map(toAuditRecord),
      next: page.next === undefined ? null : encodeCursor(page.next),
    });
  });
}

function readContact({ parseContactId }: AuditPorts, text: string): ChatId {
  const parsed = parseContactId(text);
  if (parsed.ok) return parsed.chatId;
  throw invalidRequest([{ path: "query/contact", message: parsed.reason }]);
}

const noteRevealSchema = {
  ...describe({
    id: "noteReveal",
    tag: "Audit",
    summary: "Write down that numbers are shown.",
    description:
      "For pages that show numbers masked until they are asked for: the audit log then tells who asked. Of one contact the row names it, by a keyed hash; of several it says how many.",
    access: read,
  }),
  body: revealSchema,
  response: {
    204: z.undefined().describe("Written down."),
    ...problems(
      read,
      "invalid-request",
      "malformed-body",
      "not-found",
      "request-timeout",
      "body-too-large",
      "unsupported-media-type",
    ),
  },
};

/** `POST /v1/audit/reveals` */
export function addNoteReveal(api: ZodApi, { ports }: ApiContext<AuditPorts>): void {
  api.post(
    "/v1/audit/reveals",
    { config: { access: read }, schema: noteRevealSchema },
    async (request, reply) => {
      const { instanceId, chatIds } = request.body;
      await assertThere(getKey(request), instanceId, ports.instances.find);
      const parsed = await mapInTurns(chatIds, (text) => ports.parseContactId(text));
      const faults = parsed.flatMap((id, index) =>
        id.ok ? [] : [{ path: `body/chatIds/${index}`, message: id.reason }],
      );
      if (faults.length > 0) throw invalidRequest(faults.slice(0, 10));
      const wanted = new Set(parsed.flatMap((id) => (id.ok ? [id.chatId] : [])));
      await ports.audit.noteReveal(toActor(request), instanceId, [...wanted]);
      return reply.code(204).send();
    },
  );
}
