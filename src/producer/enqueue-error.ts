import type { InstanceId } from "../domain/instance-id.ts";
import { UserError } from "../lib/errors.ts";

/** What Postgres says of `avatars.enqueue`, in words for the person who set it up. Other errors stay as they are. */
export function toEnqueueError(error: unknown, instanceId: InstanceId): unknown {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  switch (code) {
    // foreign_key_violation
    case "23503":
      return new UserError(
        "unknown-instance",
        `there is no instance ${instanceId}: add it first, with avatars instance add`,
        { cause: error },
      );
    // insufficient_privilege
    case "42501":
      return new UserError(
        "not-permitted",
        "the role may not enqueue: it needs grant usage on schema avatars",
        { cause: error },
      );
    // invalid_schema_name, undefined_function
    case "3F000":
    case "42883":
      return new UserError(
        "not-migrated",
        "the database has no avatars.enqueue: is it the right one, and was avatars migrate run?",
        { cause: error },
      );
    default:
      return error;
  }
}
