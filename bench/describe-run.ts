import { describeMachine } from "./machine.ts";
import type { Servers } from "./servers.ts";

/** The head of a benchmark's part of RESULTS.md: when, for how long, on what. */
export function describeRun({
  minutes,
  servers,
}: {
  readonly minutes: number;
  readonly servers: Pick<Servers, "postgres" | "redis">;
}): string {
  const redis = servers.redis ? [`Redis ${servers.redis.version}`] : [];
  const facts = [...describeMachine(), `Postgres ${servers.postgres.version} (embedded)`, ...redis];
  return `Measured on ${new Date().toISOString().slice(0, 10)}, in ${minutes} ${minutes === 1 ? "minute" : "minutes"}:

${facts.map((fact) => `- ${fact}`).join("\n")}`;
}
