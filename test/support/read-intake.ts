import { Readable } from "node:stream";
import { readContacts, type IntakeRecord, type ReadContactsOptions } from "../../src/intake/read-contacts.ts";

/** All records of an input, which comes in one piece, or in those that are given. */
export async function readIntake(
  input: string | Uint8Array | readonly Uint8Array[],
  options: ReadContactsOptions = {},
): Promise<IntakeRecord[]> {
  const chunks = Array.isArray(input) ? input : [Buffer.from(input as string)];
  const records: IntakeRecord[] = [];
  for await (const chunk of readContacts(Readable.from(chunks), options)) records.push(...chunk);
  return records;
}

/** Records as lines: `position chatId ref`, or `place ! text: reason`. */
export async function describeIntake(...input: Parameters<typeof readIntake>): Promise<string[]> {
  return (await readIntake(...input)).map((record) =>
    record.kind === "contact"
      ? [record.position, record.chatId, record.externalRef].filter((part) => part !== undefined).join(" ")
      : `${record.place ?? record.position} ! ${record.text}: ${record.reason}`,
  );
}
