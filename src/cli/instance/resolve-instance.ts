import type { App } from "../../app/app.ts";
import type { InstanceView } from "../../domain/views/instance-view.ts";
import { simulatedInstanceId, type InstanceId } from "../../domain/instance-id.ts";
import { UserError } from "../../lib/errors.ts";

/**
 * Which instance a command is about: the one asked for, the one of GREEN_API_*, or the only one there is. The
 * credentials of GREEN_API_* are stored when they are new.
 * @throws UserError `unknown-instance`, `no-instance`, `several-instances`
 */
export async function resolveInstance(app: App, asked: InstanceId | undefined): Promise<InstanceView> {
  await storeInstanceFromEnvironment(app);
  const id = asked ?? app.config.greenApi?.instanceId;
  if (id !== undefined) return getInstance(app, id);
  const known = (await app.instances.list()).filter((instance) => instance.id !== simulatedInstanceId);
  const [only, ...others] = known;
  if (only === undefined) {
    throw new UserError(
      "no-instance",
      "there is no GREEN-API instance yet: set GREEN_API_URL, GREEN_API_ID_INSTANCE and GREEN_API_TOKEN, or run avatars instance add; enrich --simulate works without one",
    );
  }
  if (others.length === 0) return only;
  throw new UserError(
    "several-instances",
    `there are ${known.length} instances: say which one with --instance, e.g. --instance ${only.id}`,
  );
}

/** @throws UserError `unknown-instance` */
export async function getInstance(app: App, id: InstanceId): Promise<InstanceView> {
  const found = await app.instances.find(id);
  if (found) return found;
  throw unknownInstance(id);
}

export function unknownInstance(id: InstanceId): UserError {
  return new UserError(
    "unknown-instance",
    `there is no instance ${id}: see avatars instance list, or add it with: avatars instance add ${id} --url URL`,
  );
}

/** Stores the credentials of GREEN_API_*, if they are set and not stored yet. */
export async function storeInstanceFromEnvironment({ config, instances, operator }: App): Promise<void> {
  const { greenApi } = config;
  if (greenApi === undefined) return;
  const { instanceId: id, apiUrl, token } = greenApi;
  if (await instances.hasCredentials(id, { apiUrl, token })) return;
  await instances.put({ id, apiUrl, token }, operator);
}
