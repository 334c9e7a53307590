/** A promise that the test settles. */
export interface Gate<T = void> {
  readonly opened: Promise<T>;
  readonly open: (value: T) => void;
  readonly fail: (error: unknown) => void;
}

const unset = () => undefined;

export function createGate<T = void>(): Gate<T> {
  let open: (value: T) => void = unset;
  let fail: (error: unknown) => void = unset;
  const opened = new Promise<T>((resolve, reject) => {
    open = resolve;
    fail = reject;
  });
  return { opened, open, fail };
}
