type Listener = (...args: unknown[]) => void;

/** The same events, each told to its tap first where there is one. */
export function tapEvents<Events extends object>(events: Events, taps: Partial<Events>): Events {
  const tapped: Events = { ...events };
  for (const name of Object.keys(taps) as (keyof Events)[]) {
    const tap = taps[name] as Listener;
    const tell = events[name] as Listener;
    const both: Listener = (...args) => {
      tap(...args);
      tell(...args);
    };
    tapped[name] = both as Events[typeof name];
  }
  return tapped;
}
