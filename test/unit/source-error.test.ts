import { describe, expect, test } from "vitest";
import { toSourceError, type SourcePhase } from "../../src/source/source-error.ts";

const context = { address: "db:5432/crm", fetchMs: 60_000 };

/** What `pg` throws: its own words alone, or with a code of Node's or Postgres'. */
function toError(message: string, code?: string): Error {
  return Object.assign(new Error(message), code !== undefined && { code });
}

describe("toSourceError", () => {
  test.each<[SourcePhase, string | undefined, string, string, boolean]>([
    ["connect", "ETIMEDOUT", "connect ETIMEDOUT", "source-unreachable", true],
    ["connect", undefined, "timeout expired", "source-unreachable", true],
    ["connect", "53300", "sorry, too many clients already", "source-unreachable", true],
    ["connect", "57P03", "the database system is starting up", "source-unreachable", true],
    ["connect", "28000", "no pg_hba.conf entry for host", "source-credentials", false],
    ["connect", undefined, "SASL: SCRAM: client password must be a string", "source-credentials", false],
    ["connect", "SELF_SIGNED_CERT_IN_CHAIN", "self-signed certificate", "source-tls", false],
    ["connect", "ERR_TLS_CERT_ALTNAME_INVALID", "Hostname does not match", "source-tls", false],
    ["connect", undefined, "The server does not support SSL connections", "source-tls", false],
    ["connect", "08P01", "unsupported startup parameter: options", "source-pooler", false],
    ["declare", undefined, "Query read timeout", "source-timeout", true],
    ["fetch", "57014", "canceling statement due to statement timeout", "source-timeout", true],
    ["fetch", undefined, "Connection terminated unexpectedly", "source-lost", true],
    ["fetch", "ECONNRESET", "read ECONNRESET", "source-lost", true],
    ["fetch", "25P03", "terminating connection due to idle-in-transaction timeout", "source-lost", true],
    ["fetch", "40001", "canceling statement due to conflict with recovery", "source-lost", true],
    ["fetch", "57P01", "terminating connection due to administrator command", "source-lost", true],
    ["fetch", "22012", "division by zero", "source-query-failed", false],
    ["fetch", "42703", 'column "x" does not exist', "source-query-failed", false],
    ["declare", "42703", 'column "x" does not exist', "source-query", false],
  ])("in the phase %s, %s (%s) is %s", (phase, code, message, expected, retryable) => {
    const fault = toSourceError(toError(message, code), { ...context, phase });
    expect(fault).toMatchObject({ code: expected, retryable });
    expect(fault.cause).toBeUndefined();
    expect(fault.message).toContain("db:5432/crm");
    expect(fault.message.includes(message)).toBe(expected === "source-query");
  });

  test("shows no more than a line of what Postgres says", () => {
    const fault = toSourceError(toError(`syntax error at or near "${"x\n".repeat(500)}"`, "42601"), {
      ...context,
      phase: "declare",
    });
    expect(fault.message).not.toContain("\n");
    expect(fault.message.length).toBeLessThan(450);
  });
});
