import { once } from "node:events";
import { openApp } from "../app.ts";
import { readConfig } from "../config.ts";
import { exitCodes, type CommandIo } from "./io.ts";
import { storeInstanceFromEnvironment } from "./resolve-instance.ts";

/** `avatars worker`: runs until told to stop, which is its way to end well. */
export async function runWorker(io: CommandIo): Promise<number> {
  const app = await openApp(readConfig(), {
    defaultLogLevel: "info",
    maxConnections: 6,
    migrate: false,
    signal: io.signal,
  });
  try {
    await storeInstanceFromEnvironment(app);
    await app.startWorker({ metrics: true });
    if (!io.signal.aborted) await once(io.signal, "abort");
  } finally {
    await app.close();
  }
  return io.stopSignal() === "SIGINT" ? exitCodes.interrupted : exitCodes.done;
}
