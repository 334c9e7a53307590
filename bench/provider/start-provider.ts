import { fileURLToPath } from "node:url";
import { Pool } from "undici";
import type { Closer } from "../../src/lib/closing/closer.ts";
import { startNode, until } from "../processes.ts";

/** A provider that answers at once, in a process of its own: what is measured beside it is the client alone. */
export interface Provider {
  readonly url: string;
  /** How many calls it has had. */
  countCalls(): Promise<number>;
}

export async function startProvider(closer: Closer, signal: AbortSignal): Promise<Provider> {
  const program = fileURLToPath(new URL("instant-provider.js", import.meta.url));
  const process = startNode("provider", [program], {});
  closer.add("provider", () => process.kill());
  const url = await until(
    () => {
      process.assertAlive();
      return /http:\/\/[\d.]+:\d+/.exec(process.printed())?.[0];
    },
    { what: "the provider's start", signal },
  );
  const pool = new Pool(url, { connections: 1 });
  closer.add("connection to the provider", () => pool.destroy());
  return {
    url,
    async countCalls() {
      const { body } = await pool.request({ method: "GET", path: "/calls" });
      return Number(await body.text());
    },
  };
}
