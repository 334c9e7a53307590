import pino from "pino";

export type LogLevel = "trace" | "debug" | "info" | "warn" | "error" | "fatal" | "silent";

export type Logger = pino.Logger;

/** Logs go to standard error, one JSON object per line: standard output is for results. */
export function createLogger(level: LogLevel): Logger {
  return pino(
    { level, base: null, timestamp: pino.stdTimeFunctions.isoTime },
    // Synchronous: the last lines before an exit are the ones that matter.
    pino.destination({ dest: 2, sync: true }),
  );
}

/** What may be logged of a foreign error: its code and class, never its text, which may hold a secret. */
export function toErrorFields(error: unknown): { code: string; error: string } {
  const code =
    typeof error === "object" && error !== null && "code" in error ? String(error.code) : "UNKNOWN";
  return { code, error: error instanceof Error ? error.name : typeof error };
}
