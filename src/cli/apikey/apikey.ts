import { toKeyState, type ApiKey, type ApiScope } from "../../domain/api-key.ts";
import type { InstanceId } from "../../domain/instance-id.ts";
import { parseApiToken } from "../../lib/secrets/api-token.ts";
import { UserError } from "../../lib/errors.ts";
import { writeHint, writeJson, writeLine, type CommandIo } from "../terminal/io.ts";
import { getInstance, storeInstanceFromEnvironment } from "../instance/resolve-instance.ts";
import { formatAge } from "../terminal/format.ts";
import { formatTable } from "../terminal/table.ts";
import { withApp } from "../terminal/with-app.ts";

export interface CreateApiKeyOptions {
  readonly scope: readonly ApiScope[];
  readonly label?: string;
  /** Not given: all, also those to come. */
  readonly instance?: readonly InstanceId[];
  /** Milliseconds from now. Not given: never. */
  readonly expires?: number;
  readonly json: boolean;
}

/** `avatars apikey create`: the token, and nothing else, goes to standard output. */
export async function createApiKey(options: CreateApiKeyOptions, io: CommandIo): Promise<number> {
  const { scope: scopes, label, instance: instanceIds, expires: expiresInMs, json } = options;
  return withApp(io, async (app) => {
    if (instanceIds) await storeInstanceFromEnvironment(app);
    for (const id of instanceIds ?? []) await getInstance(app, id);
    const { token, key } = await app.apiKeys.create(
      {
        scopes,
        ...(label !== undefined && { label }),
        ...(instanceIds && { instanceIds }),
        ...(expiresInMs !== undefined && { expiresInMs }),
      },
      app.operator,
    );
    if (json) writeJson(io.stdout, { token, ...toJson(key) });
    else writeLine(io.stdout, token);
    writeHint(
      io,
      io.stderr,
      `this key is shown once; if it is lost: avatars apikey revoke ${key.id}, and make another`,
    );
  });
}

/** `avatars apikey list` */
export async function listApiKeys({ json }: { readonly json: boolean }, io: CommandIo): Promise<number> {
  return withApp(io, async (app) => {
    const keys = await app.apiKeys.list();
    if (json) return writeJson(io.stdout, keys.map(toJson));
    if (keys.length === 0)
      return writeHint(
        io,
        io.stdout,
        "no keys yet: make one with avatars apikey create --scope enqueue,read",
      );
    const rows = keys.map((key) => [
      key.id,
      toKeyState(key, new Date()),
      key.scopes.join(","),
      key.instanceIds?.join(",") ?? "all",
      key.createdAt.toISOString(),
      key.expiresAt?.toISOString() ?? "never",
      key.lastUsedAt ? `${formatAge(key.lastUsedAt)} ago` : "never",
      key.label ?? "",
    ]);
    const header = ["key", "state", "scopes", "instances", "created", "expires", "last used", "label"];
    for (const line of formatTable(header, rows)) writeLine(io.stdout, line);
  });
}

/** `avatars apikey revoke`: takes the whole key, too, as its finder may have it. */
export async function revokeApiKey(idOrToken: string, io: CommandIo): Promise<number> {
  const id = parseApiToken(idOrToken)?.id ?? idOrToken.replace(/^avk_/, "");
  return withApp(io, async (app) => {
    if (!(await app.apiKeys.revoke(id, app.operator))) {
      // What was typed may be a secret.
      throw new UserError("unknown-key", "there is no key with this id: see avatars apikey list");
    }
    writeLine(io.stdout, `key ${id} revoked: within 5 seconds it opens nothing`);
  });
}

/** Field by field: a secret can never come along. */
function toJson(key: ApiKey): object {
  const { id, label, scopes, instanceIds, createdAt, expiresAt, revokedAt, lastUsedAt } = key;
  return {
    id,
    label,
    state: toKeyState(key, new Date()),
    scopes,
    instanceIds,
    createdAt,
    expiresAt,
    revokedAt,
    lastUsedAt,
  };
}
