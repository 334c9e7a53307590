import { openSource, readContacts, type App, type ContactColumns, type IntakeRecord } from "../../app/app.ts";
import { createReading, type Reading } from "../../domain/requests/reading.ts";
import { UserError } from "../../lib/errors.ts";

/** Where a batch's contacts come from, opened. */
export interface ContactSource {
  /** The source, as the batch will tell it. */
  readonly kind: "file" | "query" | "instance";
  /** For sentences: `contacts.csv`, `standard input`, `the query`. */
  readonly name: string;
  /** The batch's, unless it is given another. */
  readonly label: string | undefined;
  /** Filled in while it is read. */
  readonly reading: Reading;
  /** Once. @throws UserError while it is read */
  read(app: Pick<App, "listContacts">): AsyncIterable<readonly IntakeRecord[]>;
}

/**
 * Opens FILE, or standard input for `-`.
 * @param signal ends the reading
 * @throws UserError where the file cannot be read
 */
export async function openFileSource(
  file: string,
  options: ContactColumns,
  signal: AbortSignal,
): Promise<ContactSource> {
  // Before it is looked for: the message would show the password.
  if (/^postgres(ql)?:\/\//i.test(file)) {
    throw new UserError(
      "file-is-url",
      "a database is no FILE: avatars import --source-url URL --from-query SQL reads from one",
    );
  }
  const stream = await openSource(file);
  const reading = createReading();
  const records = readContacts(stream, { ...toColumns(options), reading, signal });
  return {
    kind: "file",
    name: file === "-" ? "standard input" : file,
    label: file === "-" ? undefined : file,
    reading,
    read: () => records,
  };
}

/** The columns alone, of a command's options. */
export function toColumns({
  column,
  refColumn,
  defaultCountry,
  firstNumber = false,
  encoding,
  sheet,
}: ContactColumns): ContactColumns {
  return {
    firstNumber,
    ...(column !== undefined && { column }),
    ...(refColumn !== undefined && { refColumn }),
    ...(defaultCountry !== undefined && { defaultCountry }),
    ...(encoding !== undefined && { encoding }),
    ...(sheet !== undefined && { sheet }),
  };
}
