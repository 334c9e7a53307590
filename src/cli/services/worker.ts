import type { CommandIo } from "../terminal/io.ts";
import { runUntilStopped } from "./run-until-stopped.ts";

/** `avatars worker`: runs until told to stop, which is its way to end well. */
export function runWorker(io: CommandIo): Promise<number> {
  return runUntilStopped(io, async (app) => {
    const worker = await app.startWorker({ isService: true });
    return () => worker.stop();
  });
}
