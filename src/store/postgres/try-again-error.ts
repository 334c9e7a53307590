/** Somebody else was in between: `isTransient` knows it by its code, which is Postgres' for a serialization failure. */
export class TryAgainError extends Error {
  override readonly name = "TryAgainError";
  readonly code = "40001";
}
