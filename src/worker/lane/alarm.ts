/** One sleeper, and all that may wake it. */
export interface Alarm {
  /** Something has happened: ends the wait, or the next one where there is none. */
  wake(): void;
  /** The same, once for all that happens in this turn of the event loop. */
  wakeSoon(): void;
  /** Waits for `wake`, but not longer than `ms`; now and then it ends before, for nothing. */
  wait(ms: number): Promise<void>;
}

/** Its timer is left to ring where a wait ends before: the next one, which mostly ends soon as well, may not need another. */
export function createAlarm(): Alarm {
  let end: (() => void) | undefined;
  let isAwake = false;
  let willWake = false;
  let timer: NodeJS.Timeout | undefined;
  let ringsAt = Infinity;

  function ring(): void {
    ringsAt = Infinity;
    end?.();
  }

  function ringBy(at: number, ms: number): void {
    if (ringsAt <= at) return;
    clearTimeout(timer);
    // A run has connections that keep the process alive.
    timer = setTimeout(ring, Math.ceil(ms)).unref();
    ringsAt = at;
  }

  function wake(): void {
    if (end) end();
    else isAwake = true;
  }

  function wakeNow(): void {
    willWake = false;
    wake();
  }

  return {
    wake,
    wakeSoon() {
      if (willWake) return;
      willWake = true;
      setImmediate(wakeNow);
    },
    wait(ms) {
      if (isAwake) {
        isAwake = false;
        return Promise.resolve();
      }
      ringBy(performance.now() + ms, ms);
      return new Promise<void>((resolve) => {
        end = () => {
          // What happens from now on ends the next wait.
          end = undefined;
          resolve();
        };
      });
    },
  };
}
