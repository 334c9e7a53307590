import { openApp, type App } from "../../app/app.ts";
import { readConfig } from "../../config.ts";
import { exitCodes, type CommandIo } from "./io.ts";

/** Opens the product for one short command, which is done when `use` returns. */
export async function withApp(io: CommandIo, use: (app: App) => Promise<void>): Promise<number> {
  const options = { defaultLogLevel: "warn", maxConnections: 2, migrate: false, signal: io.signal } as const;
  const app = await openApp(readConfig(), options);
  try {
    await use(app);
  } finally {
    await app.close();
  }
  return exitCodes.done;
}
