import type { Readable, Writable } from "node:stream";
import { spellCommands } from "./typed-command.ts";

/** What a command has of its process. */
export interface CommandIo {
  /** What was typed before the arguments; see `findTypedCommand`. */
  readonly command: string;
  /** The command line, without node and script. */
  readonly args: readonly string[];
  /** Results for programs and people. */
  readonly stdout: Writable & { readonly isTTY?: boolean; readonly columns?: number };
  /** Progress, warnings and logs. */
  readonly stderr: Writable & { readonly isTTY?: boolean; readonly columns?: number };
  readonly stdin: Readable & { readonly isTTY?: boolean; setRawMode?(mode: boolean): unknown };
  /** Aborted by the first Ctrl-C or SIGTERM: finish what is in flight and end. */
  readonly signal: AbortSignal;
  /** Which signal it was. */
  readonly stopSignal: () => "SIGINT" | "SIGTERM" | undefined;
}

export const exitCodes = {
  done: 0,
  /** Finished, but some contacts have no clear answer, or some lines were no contacts. */
  incomplete: 1,
  /** Wrong usage, input or configuration. */
  wrong: 2,
  /** Stopped by Ctrl-C. */
  interrupted: 130,
  /** Stopped by SIGTERM before it was done. */
  terminated: 143,
} as const;

/** The exit code of a command that was stopped before it was done. */
export function toStoppedCode(io: CommandIo): number {
  return io.stopSignal() === "SIGTERM" ? exitCodes.terminated : exitCodes.interrupted;
}

export function writeLine(stream: Writable, line = ""): void {
  stream.write(`${line}\n`);
}

/** A line of our own words alone: the commands that it names are written as this one was typed. */
export function writeHint(io: Pick<CommandIo, "command">, stream: Writable, line: string): void {
  writeLine(stream, spellCommands(line, io.command));
}

export function writeJson(stream: Writable, value: unknown): void {
  writeLine(stream, JSON.stringify(value, null, 2));
}

/** Told by a command when it has ended: the exit code of the process. */
export type SetExitCode = (code: number) => void;
