import { parseChatId } from "../domain/chat-id.ts";
import { toIntakeRecord, toReject, type IntakeRecord } from "./intake-record.ts";

const maxChunk = 1_000;

/**
 * The records of a contact list, in its order, in chunks. What is no chat that getAvatar takes (newsletters, the broadcast
 * of statuses) is a reject, with the number of its entry from 1.
 * @param ids as the provider wrote them; empty where an entry has none
 */
export async function* readContactList(ids: readonly string[]): AsyncGenerator<readonly IntakeRecord[]> {
  for (let from = 0; from < ids.length; from += maxChunk) {
    yield ids.slice(from, from + maxChunk).map((id, index) => toRecord(id, from + index + 1));
  }
}

function toRecord(id: string, line: number): IntakeRecord {
  const source = { line, text: id };
  if (id.includes("@")) return toIntakeRecord(source, id, undefined, undefined);
  // Elsewhere bare digits are a phone number; here they are something that is not WhatsApp's.
  const parsed = parseChatId(id);
  return toReject(source, parsed.ok ? "not a chat id" : parsed.reason);
}
