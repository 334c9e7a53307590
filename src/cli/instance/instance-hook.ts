import type { InstanceId } from "../../domain/instance-id.ts";
import { UserError } from "../../lib/errors.ts";
import { writeHint, writeJson, writeLine, type CommandIo } from "../terminal/io.ts";
import { getInstance, unknownInstance } from "./resolve-instance.ts";
import { withApp } from "../terminal/with-app.ts";

export interface InstanceHookOptions {
  readonly id: InstanceId;
  readonly remove: boolean;
  readonly json: boolean;
}

/** `avatars instance hook`: the address and the token, and nothing else, go to standard output. */
export async function setInstanceHook(
  { id, remove, json }: InstanceHookOptions,
  io: CommandIo,
): Promise<number> {
  return withApp(io, async (app) => {
    if (remove) {
      await getInstance(app, id);
      if (!(await app.signals.removeSecret(id, app.operator)))
        throw new UserError("no-hook", `instance ${id} takes no notifications`);
      return writeLine(
        io.stdout,
        `instance ${id} takes no notifications any more: empty webhookUrl in GREEN-API's console, too`,
      );
    }
    const token = await app.signals.renewSecret(id, app.operator);
    if (token === undefined) throw unknownInstance(id);
    const path = `/hooks/green-api/${id}`;
    const { publicUrl } = app.config;
    const url = publicUrl === undefined ? undefined : `${publicUrl}${path}`;
    if (json) writeJson(io.stdout, { path, url: url ?? null, token });
    else {
      writeLine(io.stdout, `webhookUrl       ${url ?? `https://YOUR-SERVER${path}`}`);
      writeLine(io.stdout, `webhookUrlToken  ${token}`);
    }
    writeHint(
      io,
      io.stderr,
      "set both in GREEN-API's console, and there what is to be told: incoming messages, outgoing ones, calls; the token is shown once",
    );
  });
}
