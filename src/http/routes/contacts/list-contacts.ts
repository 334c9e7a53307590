import type { InstanceId } from "../../../domain/instance-id.ts";
import type { Page, PageRequest } from "../../../domain/page.ts";
import { mostCounted, type ContactCounts, type ContactFilter } from "../../../domain/views/contact-filter.ts";
import type { ContactView } from "../../../domain/views/contact-view.ts";
import { decodeCursor, encodeCursor } from "../../answers/cursor.ts";
import type { ApiContext, ZodApi } from "../../context/api-context.ts";
import { answer, describe, problems } from "../../openapi/describe.ts";
import { assertThere, getKey, type FindInstance } from "../../requests/access.ts";
import { toContact } from "../../schemas/contact.ts";
import {
  contactCountsQuery,
  contactCountsSchema,
  contactListQuery,
  contactListSchema,
} from "../../schemas/contact-list.ts";

interface ListPorts {
  readonly contacts: {
    /** A page may be short, or empty, and not the last. */
    list(filter: ContactFilter, page: PageRequest): Promise<Page<ContactView>>;
  };
  readonly instances: { readonly find: FindInstance };
}

interface CountPorts {
  readonly contacts: {
    /** Undefined: of all instances. */
    count(instanceIds: readonly InstanceId[] | undefined): Promise<ContactCounts>;
  };
  readonly instances: { readonly find: FindInstance };
}

const read = { scopes: ["read"] } as const;

const listContactsSchema = {
  ...describe({
    id: "listContacts",
    tag: "Contacts",
    summary: "The contacts of one instance, or of all, by their status, or by when their avatars changed.",
    description:
      "No call is made. In a stable order: a contact that is of the filter all the time comes exactly once, whatever is saved meanwhile. With `changedSince` the latest change is the first, and a contact that changes while the list is read is at the beginning of the next one. Where few of those that have changed are of the status or the instance pages may be short, or empty.",
    access: read,
  }),
  querystring: contactListQuery,
  response: {
    200: answer("A page.", contactListSchema),
    ...problems(read, "invalid-request", "invalid-cursor", "not-found"),
  },
};

const countContactsSchema = {
  ...describe({
    id: "countContacts",
    tag: "Contacts",
    summary: "How many contacts there are of each status.",
    description: `Counted up to ${mostCounted} of each.`,
    access: read,
  }),
  querystring: contactCountsQuery,
  response: {
    200: answer("The counts.", contactCountsSchema),
    ...problems(read, "invalid-request", "not-found"),
  },
};

/** `GET /v1/contacts` */
export function addListContacts(api: ZodApi, { ports, now }: ApiContext<ListPorts>): void {
  const { contacts, instances } = ports;
  api.get(
    "/v1/contacts",
    { config: { access: read }, schema: listContactsSchema },
    async (request, reply) => {
      const key = getKey(request);
      const { instanceId, status, changedSince, cursor, limit } = request.query;
      await assertThere(key, instanceId, instances.find);
      request.contactsOf = instanceId;
      const instanceIds = instanceId === undefined ? key.instanceIds : [instanceId];
      const page = await contacts.list(
        { instanceIds, statuses: status, changedSince },
        { after: decodeCursor(cursor), limit },
      );
      return reply.type("application/json").send({
        items: page.items.map((contact) => toContact(contact, now())),
        next: page.next === undefined ? null : encodeCursor(page.next),
      });
    },
  );
}

/** `GET /v1/contacts/counts` */
export function addCountContacts(api: ZodApi, { ports }: ApiContext<CountPorts>): void {
  const { contacts, instances } = ports;
  api.get(
    "/v1/contacts/counts",
    { config: { access: read }, schema: countContactsSchema },
    async (request, reply) => {
      const key = getKey(request);
      const { instanceId } = request.query;
      await assertThere(key, instanceId, instances.find);
      const counts = await contacts.count(instanceId === undefined ? key.instanceIds : [instanceId]);
      return reply.type("application/json").send({ counts, mostCounted });
    },
  );
}
