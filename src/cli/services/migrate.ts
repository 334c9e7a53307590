import { openApp } from "../../app/app.ts";
import { readConfig } from "../../config.ts";
import { exitCodes, writeLine, type CommandIo } from "../terminal/io.ts";

/** `avatars migrate` */
export async function migrate(io: CommandIo): Promise<number> {
  const app = await openApp(readConfig(), {
    defaultLogLevel: "warn",
    maxConnections: 2,
    migrate: true,
    signal: io.signal,
  });
  await app.close();
  writeLine(io.stdout, "the database is up to date");
  return exitCodes.done;
}
