import { settleWithin } from "../deadline.ts";
import { once } from "./once.ts";

/** Every wait has an end (I8): longer than the longest grace period that a supervisor usually gives. */
const closeDeadlineMs = 90_000;

/** What opens registers its close: last opened, first closed, and a close that fails does not stop the rest. */
export interface Closer {
  add(name: string, close: () => Promise<unknown> | void): void;
  /** Closes everything that is open; twice is harmless. */
  close(): Promise<void>;
}

/** @param onError told of each close that failed */
export function createCloser(onError: (name: string, error: unknown) => void): Closer {
  const open: { name: string; close: () => Promise<unknown> | void }[] = [];
  return {
    add: (name, close) => void open.push({ name, close }),
    close: once(async () => {
      for (const { name, close } of open.toReversed()) {
        try {
          if (!(await settleWithin((async () => close())(), closeDeadlineMs)))
            onError(name, new Error("deadline"));
        } catch (error) {
          onError(name, error);
        }
      }
    }),
  };
}
