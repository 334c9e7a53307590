import { settleWithin } from "../deadline.ts";
import { once } from "./once.ts";

/** Every wait has an end (I8): longer than the longest grace period that a supervisor usually gives. */
const longestCloseMs = 90_000;

/** What opens registers its close: last opened, first closed, and a close that fails does not stop the rest. */
export interface Closer {
  add(name: string, close: () => Promise<unknown> | void): void;
  /** Closes everything that is open; twice is harmless. Never rejects. */
  close(): Promise<void>;
}

export interface CloserLimits {
  /** For each close. */
  readonly deadlineMs?: number;
  /** Told, in place of `onError`, of each close that did not end in time. */
  readonly onLate?: (name: string) => void;
}

/** @param onError told of each close that failed, and of each that was late where no `onLate` is given */
export function createCloser(
  onError: (name: string, error: unknown) => void,
  { deadlineMs = longestCloseMs, onLate = (name) => onError(name, new Error("deadline")) }: CloserLimits = {},
): Closer {
  const open: { name: string; close: () => Promise<unknown> | void }[] = [];
  return {
    add: (name, close) => void open.push({ name, close }),
    close: once(async () => {
      for (const { name, close } of open.toReversed()) {
        try {
          if (!(await settleWithin((async () => close())(), deadlineMs))) onLate(name);
        } catch (error) {
          onError(name, error);
        }
      }
    }),
  };
}
