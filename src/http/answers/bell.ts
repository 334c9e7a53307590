/** A ring that comes before its listener is heard later. One listens. */
export interface Bell {
  ring(): void;
  rung(): Promise<void>;
}

export function createBell(): Bell {
  let isRung = false;
  let hear: (() => void) | undefined;
  return {
    ring() {
      isRung = true;
      hear?.();
    },
    async rung() {
      if (!isRung) await new Promise<void>((resolve) => (hear = resolve));
      isRung = false;
    },
  };
}
