import type { CommandIo } from "../terminal/io.ts";
import { runUntilStopped } from "./run-until-stopped.ts";

/** `avatars serve`: the API alone. */
export function serve(io: CommandIo): Promise<number> {
  return runUntilStopped(io, async (app) => {
    const api = await app.serveApi();
    return () => api.stop();
  });
}
