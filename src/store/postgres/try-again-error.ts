import { serializationFailure } from "./sqlstate.ts";

/** Another transaction was in between: `isTransient` knows it by its code. */
export class TryAgainError extends Error {
  override readonly name = "TryAgainError";
  readonly code = serializationFailure;
}
