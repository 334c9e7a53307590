import { UserError } from "../../lib/errors.ts";
import { codeOf, type Database } from "../postgres/database.ts";
import { invalidParameterValue } from "../postgres/sqlstate.ts";

/**
 * Checks that Postgres knows a time zone that this Node.js knows: both reckon with it.
 * @throws UserError `unknown-time-zone`
 */
export async function checkTimeZone({ pool }: Database, name: string | null | undefined): Promise<void> {
  if (typeof name !== "string") return;
  try {
    await pool.query("select now() at time zone $1", [name]);
  } catch (error) {
    if (codeOf(error) !== invalidParameterValue) throw error;
    throw new UserError(
      "unknown-time-zone",
      `Postgres does not know the time zone "${name}": take another name of it, e.g. Europe/Berlin`,
      { cause: error },
    );
  }
}
