import { createInterface } from "node:readline/promises";
import { Writable } from "node:stream";
import { text } from "node:stream/consumers";
import { instanceTokenForm, isInstanceToken } from "../../domain/instance-token.ts";
import { UserError } from "../../lib/errors.ts";
import { writeLine, type CommandIo } from "../terminal/io.ts";

/** Reads the token from standard input, up to its end. @throws UserError `no-token`, `bad-token` */
export async function readTokenFromStdin(io: CommandIo): Promise<string> {
  return toToken(await text(io.stdin));
}

/**
 * Asks for the token without showing what is typed.
 * @throws UserError `no-token` where nothing is typed, or there is no terminal; `bad-token`
 */
export async function askToken(io: CommandIo): Promise<string> {
  if (!io.stdin.isTTY) {
    throw new UserError(
      "no-token",
      "the token is missing: give it with --token T, or pipe it in with --token-stdin",
    );
  }
  io.stderr.write("Token (not shown): ");
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const prompt = createInterface({ input: io.stdin, output: silent, terminal: true });
  try {
    return toToken(await prompt.question("", { signal: io.signal }));
  } finally {
    prompt.close();
    writeLine(io.stderr);
  }
}

function toToken(typed: string): string {
  const token = typed.trim();
  if (token === "") throw new UserError("no-token", "the token is empty");
  return checkToken(token, "the token");
}

/** @throws UserError `bad-token` for what cannot be one; it names `what` and never shows it */
export function checkToken(token: string, what: string): string {
  if (isInstanceToken(token)) return token;
  throw new UserError(
    "bad-token",
    `${what} must be ${instanceTokenForm}: apiTokenInstance, as the console shows it`,
  );
}
