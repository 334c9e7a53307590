/** One sleeper, and all that may wake it. */
export interface Alarm {
  /** Something has happened: ends the wait, or the next one where there is none. */
  wake(): void;
  /** Waits for `wake`, but not longer than `ms`. */
  wait(ms: number): Promise<void>;
}

export function createAlarm(): Alarm {
  let end: (() => void) | undefined;
  let isAwake = false;
  return {
    wake() {
      if (end) end();
      else isAwake = true;
    },
    async wait(ms) {
      if (isAwake) {
        isAwake = false;
        return;
      }
      await new Promise<void>((resolve) => {
        end = () => {
          clearTimeout(timer);
          // What happens from now on ends the next wait.
          end = undefined;
          resolve();
        };
        const timer = setTimeout(end, Math.ceil(ms));
      });
    },
  };
}
