import { once } from "node:events";
import { startSimulator } from "../../app/app.ts";
import { UserError } from "../../lib/errors.ts";
import { exitCodes, writeHint, writeLine, type CommandIo } from "../terminal/io.ts";

export interface SimulateOptions {
  readonly port: number;
  readonly host: string;
  readonly seed: number;
  readonly rps: number;
  readonly latencyMs?: number;
  readonly jitterMs?: number;
  readonly troubledShare?: number;
  readonly pictures: boolean;
  /** Another simulator that serves the pictures. */
  readonly picturesAt?: string;
  /** The share of each outcome that a picture may have, by name. */
  readonly pictureFaults?: Readonly<Record<string, number>>;
  readonly base64Share?: number;
}

/** `avatars simulate` */
export async function simulate(options: SimulateOptions, io: CommandIo): Promise<number> {
  const { port, host, seed, rps, latencyMs, jitterMs, troubledShare, base64Share } = options;
  const simulator = await startSimulator({
    port,
    host,
    seed,
    requestsPerSecond: rps,
    ...(latencyMs !== undefined && { latencyMs }),
    ...(jitterMs !== undefined && { jitterMs }),
    ...(troubledShare !== undefined && { troubledShare }),
    pictures: options.pictures,
    ...(options.picturesAt !== undefined && { picturesAt: options.picturesAt }),
    ...(options.pictureFaults && { pictureFaults: options.pictureFaults }),
    ...(base64Share !== undefined && { base64Share }),
  }).catch((cause: unknown) => {
    if (cause instanceof Error && cause.name === "ControlInputError") {
      throw new UserError("wrong-faults", `--picture-faults: ${cause.message}`, { cause });
    }
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : "unknown cause";
    throw new UserError(
      "port-not-free",
      `cannot listen on ${host}:${port} (${code}): choose another --port, or 0 for a free one`,
      { cause },
    );
  });
  writeLine(io.stdout, `GREEN-API simulator on ${simulator.url} (Ctrl-C stops it)`);
  writeHint(
    io,
    io.stdout,
    `add it as an instance: avatars instance add 1101000001 --url ${simulator.url} --token anything`,
  );
  if (options.pictures) {
    const pictureHost = new URL(options.picturesAt ?? simulator.url).host;
    writeHint(io, io.stdout, `have its pictures taken: AVATARS_IMAGE_HOSTS=${pictureHost} avatars up`);
  }
  if (!io.signal.aborted) await once(io.signal, "abort");
  await simulator.close();
  return exitCodes.done;
}
