import { connections } from "../alternatives/look-up.ts";
import { startAvatars } from "../processes.ts";
import { isRightSql } from "../provider/answers.ts";
import { enqueueImport, toInstanceIds, type Backend } from "../servers.ts";
import type { Contender, Prepared, PrepareOptions } from "./contender.ts";

/** Of each instance, the most that the settings take: more than any worker reaches with all of them. */
const requestsPerSecond = 10_000;

/**
 * `avatars worker` with its settings as they come, but for rates that it cannot reach, and with as many calls in flight as the
 * alternatives have connections: without that there are more and more of them, at a provider that has no more to give.
 */
export function listOurs(instances: number): Contender[] {
  return (["redis", "postgres"] as const).map((backend) => ({
    name: backend,
    title: `ours, queue in ${backend === "redis" ? "Redis" : "Postgres"}`,
    prepare: async (options) => prepare(backend, instances, options),
  }));
}

async function prepare(
  backend: Backend,
  instances: number,
  { servers, providerUrl, contacts, closer }: PrepareOptions,
): Promise<Prepared> {
  const instanceIds = toInstanceIds(instances);
  const scene = await servers.openScene({ backend, instanceIds, apiUrl: providerUrl });
  closer.add("scene", () => scene.close());
  const { client } = scene;
  for (const [index, id] of instanceIds.entries()) {
    const next = Math.floor((contacts * (index + 1)) / instances);
    await enqueueImport(client, id, next - Math.floor((contacts * index) / instances));
  }
  const settings = {
    AVATARS_REQUESTS_PER_SECOND: String(requestsPerSecond),
    AVATARS_MAX_IN_FLIGHT: String(Math.max(1, Math.floor(connections / instances))),
  };
  const count = async (sql: string) => {
    const { rows } = await client.query<{ n: number }>(`select count(*)::int as n from ${sql}`);
    return rows[0]?.n ?? 0;
  };
  return {
    start: () => startAvatars(["worker"], { ...scene.env, ...settings }),
    // A narrow table with a row for each answer, as the alternatives' is: who asks costs all of them alike.
    countLeft: async () => contacts - (await count("avatars.contact_statuses")),
    countWrong: async () =>
      contacts -
      (await count(`(select c.chat_id, c.status, c.checked_at, a.url
        from avatars.contacts c left join avatars.avatars a on a.contact_id = c.id) as found where ${isRightSql}`)),
  };
}
