#!/usr/bin/env node
import { isStartedByNpm, readLogLevel } from "./config.ts";
import { exitAtOnce } from "./cli/terminal/exit-at-once.ts";
import { exitCodes, toStoppedCode, writeLine } from "./cli/terminal/io.ts";
import { removeOpenDrafts } from "./cli/terminal/output-file.ts";
import { findTypedCommand } from "./cli/terminal/typed-command.ts";
import { UserError } from "./lib/errors.ts";
import { holdHeap } from "./lib/hold-heap.ts";
import { reportFailure, runProgram } from "./cli/program.ts";

holdHeap();

const stopping = new AbortController();
let stopSignal: "SIGINT" | "SIGTERM" | undefined;
let stoppedAt = 0;
/** One Ctrl-C under npm arrives twice: from the terminal, and passed on by npm. */
const sameKeypressMs = 500;

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => {
    if (stopSignal && performance.now() - stoppedAt < sameKeypressMs) return;
    // The second one stops at once: leases end by themselves.
    if (stopSignal) exitAtOnce(exitCodes.interrupted);
    stopSignal = signal;
    stoppedAt = performance.now();
    stopping.abort();
  });
}

process.on("exit", removeOpenDrafts);

// A reader that has seen enough, as in `avatars export --out - | head`.
for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    process.exit(error.code === "EPIPE" ? exitCodes.done : exitCodes.wrong);
  });
}

const { stdout, stderr, stdin } = process;
const [, script = "avatars", ...args] = process.argv;
const command = findTypedCommand({ script, byNpm: isStartedByNpm(), cwd: process.cwd() });
const io = { command, args, stdout, stderr, stdin, signal: stopping.signal, stopSignal: () => stopSignal };
const showStack = ["trace", "debug"].includes(readLogLevel() ?? "");

process.on("uncaughtException", (error) => process.exit(reportFailure(io, error, showStack)));
process.on("unhandledRejection", (error) => process.exit(reportFailure(io, error, showStack)));

process.exit(
  await runProgram(io).catch((error: unknown) => {
    if (!stopping.signal.aborted || error instanceof UserError) return reportFailure(io, error, showStack);
    writeLine(io.stderr, "stopped");
    return toStoppedCode(io);
  }),
);
