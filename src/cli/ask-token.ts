import { createInterface } from "node:readline/promises";
import { Writable } from "node:stream";
import { text } from "node:stream/consumers";
import { UserError } from "../lib/errors.ts";
import { writeLine, type CommandIo } from "./io.ts";

/** Reads the token from standard input, up to its end. @throws UserError `no-token` */
export async function readTokenFromStdin(io: CommandIo): Promise<string> {
  return toToken(await text(io.stdin));
}

/**
 * Asks for the token without showing what is typed.
 * @throws UserError `no-token` where nothing is typed, or nobody is there to ask
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
  if (/^\S{1,500}$/.test(token)) return token;
  throw new UserError(
    "no-token",
    token === "" ? "the token is empty" : "the token must be one word of at most 500 characters",
  );
}
