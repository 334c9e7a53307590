import { once } from "node:events";
import { openApp, type App } from "../../app/app.ts";
import { readConfig } from "../../config.ts";
import { exitCodes, type CommandIo } from "../terminal/io.ts";
import { storeInstanceFromEnvironment } from "../instance/resolve-instance.ts";

/**
 * Runs a service until it is told to stop, which is its way to end well.
 * @param start returns what stops it
 */
export async function runUntilStopped(
  io: CommandIo,
  start: (app: App) => Promise<() => Promise<unknown>>,
): Promise<number> {
  const app = await openApp(readConfig(), {
    defaultLogLevel: "info",
    maxConnections: 6,
    migrate: false,
    signal: io.signal,
  });
  try {
    await storeInstanceFromEnvironment(app);
    const stop = await start(app);
    if (!io.signal.aborted) await once(io.signal, "abort");
    await stop();
  } finally {
    await app.close();
  }
  return io.stopSignal() === "SIGINT" ? exitCodes.interrupted : exitCodes.done;
}
