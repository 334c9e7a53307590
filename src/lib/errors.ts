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

/** The end of a closed union: a new member that nobody handles is a compile error, and loud at run time. */
export function assertNever(value: never): never {
  throw new Error(`unhandled variant: ${JSON.stringify(value)}`);
}
