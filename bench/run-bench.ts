import { createCloser, type Closer } from "../src/lib/closing/closer.ts";
import { assertProc } from "./machine.ts";

/** What every benchmark stands on. */
export interface Bench {
  /** Aborted by Ctrl-C or SIGTERM. */
  readonly signal: AbortSignal;
  /** Ends whatever was started, whatever happens. */
  readonly closer: Closer;
  /** A line about what goes on, to standard error: standard output is for the results. */
  note(text: string): void;
}

/** Runs a benchmark, cleans up after it, and sets the exit code: 0 or what it returns; 2 failed, 130 stopped. */
export async function runBench(main: (bench: Bench) => Promise<number>): Promise<void> {
  const stopping = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => stopping.abort());
  const closer = createCloser(noteFailedClose);
  try {
    assertProc();
    process.exitCode = await main({ signal: stopping.signal, closer, note });
  } catch (error) {
    const { aborted } = stopping.signal;
    note(aborted ? "stopped" : error instanceof Error ? (error.stack ?? error.message) : String(error));
    process.exitCode = aborted ? 130 : 2;
  } finally {
    await closer.close();
  }
}

/** Opens for one row what is closed with it, also when the row fails. */
export async function withCloser<T>(work: (closer: Closer) => Promise<T>): Promise<T> {
  const closer = createCloser(noteFailedClose);
  try {
    return await work(closer);
  } finally {
    await closer.close();
  }
}

function note(text: string): void {
  console.error(text);
}

function noteFailedClose(name: string, error: unknown): void {
  note(`${name} cannot be closed: ${String(error)}`);
}
