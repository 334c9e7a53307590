import type { FastifyRequest } from "fastify";
import type { ChatId } from "../../../domain/chat-id.ts";
import type { InstanceId } from "../../../domain/instance-id.ts";
import type { ContactDetail } from "../../../domain/views/contact-detail.ts";
import { ApiError } from "../../answers/problem.ts";
import { invalidRequest } from "../../answers/to-api-error.ts";
import type { ParseContactId } from "../../context/api-context.ts";
import { canSee, getKey, noInstance, type FindInstance } from "../../requests/access.ts";

/** The ports of the routes of one contact. */
export interface ContactRoutePorts {
  readonly parseContactId: ParseContactId;
  readonly instances: { readonly find: FindInstance };
}

/** The path of one contact; its parameters are `contactParams`. */
export const contactPath = "/v1/instances/:id/contacts/:chatId";

/** @throws ApiError `invalid-request` where the path names no contact */
export function readChatId(
  { parseContactId }: Pick<ContactRoutePorts, "parseContactId">,
  text: string,
): ChatId {
  const parsed = parseContactId(text);
  if (parsed.ok) return parsed.chatId;
  throw invalidRequest([{ path: "path/chatId", message: parsed.reason }]);
}

/** The answer where a contact was not found: the contact is missing, or its instance. */
export async function noContact(
  instances: ContactRoutePorts["instances"],
  id: InstanceId,
): Promise<ApiError> {
  if (!(await instances.find(id))) return noInstance(id);
  return new ApiError(
    "not-found",
    "there is no such contact of this instance: it was never asked for, or was erased",
  );
}

/** The ports of the routes of one contact by its own id, which tells nothing of the number. */
export interface FindsContact {
  readonly contacts: {
    /** Undefined: it was erased, or never was. */
    findById(contactId: number): Promise<ContactDetail | undefined>;
  };
}

/** The path of one contact by its own id; its parameters are `contactIdParams`. */
export const contactIdPath = "/v1/contacts/:contactId";

/**
 * The contact of a request by its id. Where the key may not see its instance it does not exist.
 * @throws ApiError `not-found`
 */
export async function getVisibleContact(
  { contacts }: FindsContact,
  request: FastifyRequest & { readonly params: { readonly contactId: number } },
): Promise<ContactDetail> {
  const contact = await contacts.findById(request.params.contactId);
  if (!contact || !canSee(getKey(request), contact.instanceId))
    throw new ApiError("not-found", "there is no such contact: it was erased, or never was");
  request.contactsOf = contact.instanceId;
  return contact;
}
