import { parseChatId } from "../domain/chat-id.ts";
import { inTurns } from "../lib/in-turns.ts";
import { parseContactId } from "./ids/contact-id.ts";
import { toReject, type IntakeRecord } from "./records/intake-record.ts";
import { toRecord } from "./records/to-records.ts";

/**
 * The records of a contact list, in its order, in chunks. An entry that getAvatar does not take (newsletters, the broadcast of
 * statuses) is a reject, numbered from 1.
 * @param ids as the provider wrote them; empty where an entry has none
 */
export async function* readContactList(ids: readonly string[]): AsyncGenerator<readonly IntakeRecord[]> {
  for await (const { from, items } of inTurns(ids)) {
    yield items.map((id, index) => readEntry(id, from + index + 1));
  }
}

function readEntry(id: string, line: number): IntakeRecord {
  const source = { line, text: id };
  if (id.includes("@")) return toRecord(source, parseContactId(id, undefined));
  // Elsewhere bare digits are a phone number; here they are something that is not WhatsApp's.
  const parsed = parseChatId(id);
  return toReject(source, parsed.ok ? "not a chat id" : parsed.reason);
}
