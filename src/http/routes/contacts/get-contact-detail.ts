import type { ApiContext, ZodApi } from "../../context/api-context.ts";
import { answer, describe, problems } from "../../openapi/describe.ts";
import type { FindInstance } from "../../requests/access.ts";
import { contactIdParams } from "../../schemas/contact.ts";
import { contactDetailSchema, toContactDetail } from "../../schemas/contact-detail.ts";
import { contactIdPath, getVisibleContact, type FindsContact } from "./contact-of-request.ts";
import { findStop } from "./find-stop.ts";

interface DetailPorts extends FindsContact {
  readonly instances: { readonly find: FindInstance };
}

const read = { scopes: ["read"] } as const;
const interactive = 0;

const getContactByIdSchema = {
  ...describe({
    id: "getContactById",
    tag: "Contacts",
    summary: "What is known of a contact, by its own id, and what becomes of it next.",
    description:
      "No call is made. `missing` says why there is no picture, `next` when it is asked next and why then, `imageState` what became of its picture's image.",
    access: read,
  }),
  params: contactIdParams,
  response: {
    200: answer("The contact.", contactDetailSchema),
    ...problems(read, "invalid-request", "not-found"),
  },
};

/** `GET /v1/contacts/{contactId}` */
export function addGetContactDetail(api: ZodApi, { ports, now }: ApiContext<DetailPorts>): void {
  api.get(
    contactIdPath,
    { config: { access: read }, schema: getContactByIdSchema },
    async (request, reply) => {
      const contact = await getVisibleContact(ports, request);
      const instance = await ports.instances.find(contact.instanceId);
      const isInteractive = contact.schedule.isDue && contact.priority === interactive;
      const stopped = instance && findStop(instance, now(), isInteractive);
      return reply.type("application/json").send(toContactDetail(contact, now(), stopped));
    },
  );
}
