import { startAvatars, runAvatars, until, type BenchProcess } from "./processes.ts";
import type { Scene } from "./servers.ts";

/** A process that serves the API of a scene. */
export interface BenchApi extends BenchProcess {
  readonly url: string;
  /** With it everything may be asked. */
  readonly headers: Readonly<Record<string, string>>;
}

/** More than any benchmark sends. */
const limits = {
  AVATARS_API_REQUESTS_PER_MINUTE: "1000000",
  AVATARS_IMAGE_REQUESTS_PER_MINUTE: "100000000",
};

/** `avatars serve`, or `avatars up`, which works the contacts off too; resolves when it listens. */
export async function startApi(
  command: "serve" | "up",
  { env }: Pick<Scene, "env">,
  signal: AbortSignal,
  nodeOptions: readonly string[] = [],
): Promise<BenchApi> {
  const token = (await runAvatars(["apikey", "create", "--scope", "enqueue,read,admin"], env)).trim();
  // Only the level `info` tells the port.
  const settings = { PORT: "0", ...limits, LOG_LEVEL: "info" };
  const api = startAvatars([command], { ...env, ...settings }, nodeOptions);
  const url = await until(
    () => {
      api.assertAlive();
      return /"url":"([^"]+)"[^}]*"msg":"api served"/.exec(api.printed())?.[1];
    },
    { what: "the start of the API", signal },
  ).catch(async (error: unknown) => {
    await api.kill();
    throw error;
  });
  return { ...api, url, headers: { authorization: `Bearer ${token}` } };
}
