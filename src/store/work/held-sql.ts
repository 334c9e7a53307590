import { chatServers, type ChatKind } from "../../domain/chat-kind.ts";
import { heldKinds } from "../../domain/trouble/hold.ts";

const toCase = (toResult: (kind: ChatKind) => string) =>
  `case i.held_reason ${Object.entries(heldKinds)
    .map(([reason, kind]) => `when '${reason}' then '${toResult(kind)}'`)
    .join(" ")} end`;

/** The kind of chat that the instance `i` is held for; null: for all, or it is not held. */
export const heldKindSql = toCase((kind) => kind);
/** How the ids of that kind end. */
export const heldServerSql = toCase((kind) => chatServers[kind]);

/** The hold of the instance `i` has not run out. */
export const isHeldSql = "i.state = 'held' and i.held_until > clock_timestamp()";
/** The hold of the instance `i` leaves some chats to be asked: it is of one kind of chat, or names chats. */
export const isPartialSql = `(i.allowed_chat_ids is not null or ${heldKindSql} is not null)`;

/** A condition on a contact `c`: it is of the kind. */
export function toIsOfKind(kind: ChatKind): string {
  const server = chatServers[kind];
  return `right(c.chat_id, ${server.length}) = '${server}'`;
}
