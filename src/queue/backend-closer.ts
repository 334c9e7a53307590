import { settleWithin } from "../lib/deadline.ts";

/** A server that hangs must not keep the process. */
const closeDeadlineMs = 3_000;

/** What a backend has opened, to be closed with it. */
export interface BackendCloser {
  add(close: () => Promise<unknown>): void;
  /** Closes all, last opened first. Twice is harmless. Never rejects. */
  close(): Promise<void>;
}

export function createBackendCloser(onError: (error: unknown) => void): BackendCloser {
  const closers: (() => Promise<unknown>)[] = [];
  return {
    add: (close) => void closers.push(close),
    async close() {
      for (const close of closers.splice(0).toReversed()) {
        await settleWithin(close(), closeDeadlineMs).catch(onError);
      }
    },
  };
}
