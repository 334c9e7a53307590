import { toExcerpt } from "../domain/chat-id.ts";
import { UserError } from "../lib/errors.ts";

/** How far the reading had come. */
export type SourcePhase = "connect" | "declare" | "fetch";

interface SourceErrorContext {
  readonly phase: SourcePhase;
  /** host:port/database, without user and password. */
  readonly address: string;
  readonly fetchMs: number;
}

const kept = "what was read before is kept, and running it again continues";
const oneQuery = "the query must be one SELECT, also WITH … SELECT, VALUES or TABLE, and nothing else";

/**
 * Says whose fault it is that a source cannot be read: `source-unreachable`, `source-tls`, `source-credentials`,
 * `source-database`, `source-pooler`, `source-query`, `source-writes`, `source-query-failed`, `source-timeout`, `source-lost`.
 * Postgres' own words are shown only about the text of the query, never about its data. The cause is left out for the same
 * reason.
 */
export function toSourceError(error: unknown, context: SourceErrorContext): UserError {
  const fault = context.phase === "connect" ? toConnectFault(error, context) : toQueryFault(error, context);
  return new UserError(fault.code, fault.text, { retryable: fault.retryable ?? false });
}

interface Fault {
  readonly code: string;
  readonly text: string;
  readonly retryable?: boolean;
}

function toConnectFault(error: unknown, { address }: SourceErrorContext): Fault {
  const code = findCode(error);
  const message = error instanceof Error ? error.message : "";
  if (code?.startsWith("28") || message.startsWith("SASL")) {
    const text = `the source at ${address} refuses the user or the password${inBrackets(code)}: check both in its URL, and that pg_hba.conf lets this machine in`;
    return { code: "source-credentials", text };
  }
  if (code === "3D000") {
    return {
      code: "source-database",
      text: `the source has no database of this name, ${address} (3D000): check the end of its URL`,
    };
  }
  if (code === "08P01") {
    const text = `the source at ${address} refuses a read-only session (08P01): give the URL of Postgres itself, or tell PgBouncer ignore_startup_parameters = options`;
    return { code: "source-pooler", text };
  }
  if (/SSL|TLS|CERT|SIGNATURE/.test(code ?? message)) {
    const text = `the source at ${address} and we do not agree on TLS${inBrackets(code)}: check sslmode and sslrootcert in its URL`;
    return { code: "source-tls", text };
  }
  const text = `cannot connect to the source at ${address} (${code ?? "no answer"}): check its URL, and that the server runs`;
  return { code: "source-unreachable", text, retryable: true };
}

function toQueryFault(error: unknown, { phase, address, fetchMs }: SourceErrorContext): Fault {
  const code = findCode(error);
  if (code === "25006") {
    return {
      code: "source-writes",
      text: `the query would change the source at ${address} (25006): it may only read`,
    };
  }
  if (isTimeout(error, code)) {
    const text = `the source at ${address} gave no rows within ${fetchMs} ms: make the query faster, or allow more with AVATARS_SOURCE_TIMEOUT_MS; ${kept}`;
    return { code: "source-timeout", text, retryable: true };
  }
  // Shown only while the query is being understood: later a function of the source may put data into any error.
  if (phase === "declare" && isAboutText(code) && isOutsideFunctions(error)) {
    const hint = /^(42601|42P11|0A000)$/.test(code ?? "") ? `: ${oneQuery}` : "";
    const text = `the source at ${address} refuses the query (${code}), ${toExcerpt(error.message, 200)}${hint}`;
    return { code: "source-query", text };
  }
  if (isLost(code)) {
    const text = `the connection to the source at ${address} was lost${inBrackets(code)}: ${kept}`;
    return { code: "source-lost", text, retryable: true };
  }
  const text = `the query fails at the source at ${address} (${code}): psql shows why; ${kept}`;
  return { code: "source-query-failed", text };
}

function isTimeout(error: unknown, code: string | undefined): boolean {
  return code === "57014" || (code === undefined && error instanceof Error && /timeout/i.test(error.message));
}

/** Syntax, names, rights, types, what a cursor cannot be for; and `$1`, for which we have no value. */
function isAboutText(code: string | undefined): boolean {
  return /^(42\w{3}|0A000|08P01)$/.test(code ?? "");
}

/** The planner runs functions that always give the same, or say so: then there is a context. */
function isOutsideFunctions(error: unknown): error is Error {
  return error instanceof Error && !("where" in error && error.where !== undefined);
}

/** Also a server that stops, one that ends our session, and a standby whose primary moved on. */
function isLost(code: string | undefined): boolean {
  return code === undefined || /^(08\w{3}|57P\w\d|25P0[34]|40\w{3}|53\w{3}|E[A-Z]+)$/.test(code);
}

function findCode(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}

function inBrackets(code: string | undefined): string {
  return code === undefined ? "" : ` (${code})`;
}
