import { toUnsupported } from "./broken-workbook.ts";

/** The name of the stream that a workbook with a password is in, as such files write names. */
const encrypted = Buffer.from("EncryptedPackage", "utf16le");
/** The names stand before or behind the content; further in no file of a list is looked. */
const maxBytes = 64 * 1024 * 1024;

/**
 * Refuses a file of the kind that Office used until 2007, and still uses around a workbook with a password.
 * @throws UserError `unsupported-file`, always
 */
export async function refuseOld(chunks: AsyncIterable<Buffer>): Promise<never> {
  let before: Buffer = Buffer.alloc(0);
  let length = 0;
  for await (const chunk of chunks) {
    const bytes = Buffer.concat([before, chunk]);
    if (bytes.includes(encrypted)) {
      throw toUnsupported("an Excel workbook with a password", "save it without one, or the sheet as CSV");
    }
    before = bytes.subarray(-encrypted.length);
    length += chunk.length;
    if (length > maxBytes) break;
  }
  throw toUnsupported(
    "an old Excel workbook (.xls), or another old Office file",
    "save it as an Excel workbook of today (.xlsx), or as CSV",
  );
}
