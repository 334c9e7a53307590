/**
 * An error that a person may read: what is wrong, where, and what to do about it. Its message never
 * holds a token, a stack, or a foreign error's text. `code` is stable and meant for programs.
 */
export class UserError extends Error {
  override readonly name = "UserError";
  /** Stable, kebab-case. */
  readonly code: string;
  /** Waiting and trying the same again may help. */
  readonly retryable: boolean;

  constructor(code: string, message: string, options: { cause?: unknown; retryable?: boolean } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.retryable = options.retryable ?? false;
  }
}

/**
 * Another transaction holds what is needed, and did not end while it was waited for. Its message is for people. `isTransient`
 * knows it by its code, which is Postgres' for a lock that was not to be had.
 */
export class LockedError extends Error {
  override readonly name = "LockedError";
  readonly code = "55P03";

  constructor(options: { cause?: unknown } = {}) {
    super(
      "another transaction holds a contact or a batch that this needs, such as one that has called avatars.enqueue and is still open; nothing was done that was not acknowledged: try again when it has ended",
      options,
    );
  }
}

/** The end of a closed union: a new member without a case does not compile, and throws at run time. */
export function assertNever(value: never): never {
  throw new Error(`unhandled variant: ${JSON.stringify(value)}`);
}
