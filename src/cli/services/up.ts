import type { App } from "../../app/app.ts";
import { apiScopes, type ApiKey } from "../../domain/api-key.ts";
import { writeHint, type CommandIo } from "../terminal/io.ts";
import { runUntilStopped } from "./run-until-stopped.ts";

/** `avatars up`: the API and a worker in one process. */
export function up(io: CommandIo): Promise<number> {
  return runUntilStopped(io, async (app) => {
    // First what fails at once, where the port is taken.
    const api = await app.serveApi();
    const worker = await app.startWorker({ isService: true });
    await offerFirstKey(app, api.url, io);
    await offerConsole(app, api.url, io);
    // At the same time, in this order: their grace periods are one.
    return () => Promise.all([api.stop(), worker.stop()]);
  });
}

/** To try the API on the embedded Postgres takes no further command. */
async function offerFirstKey({ config, apiKeys, operator }: App, url: string, io: CommandIo): Promise<void> {
  if (config.databaseUrl !== undefined || (await apiKeys.list()).length > 0) return;
  const { token } = await apiKeys.create({ label: "first start", scopes: apiScopes }, operator);
  for (const line of [
    "The first key of the API, with all scopes; it is not shown again (another one: avatars apikey create --scope enqueue,read):",
    `  export KEY=${token}`,
    "Try it:",
    `  curl --header "Authorization: Bearer $KEY" ${url}/v1/instances`,
    `Read about it, with any name and the key as the password: ${url}/docs`,
  ])
    writeHint(io, io.stdout, line);
}

/** Only where a person reads it: the first to follow the link is logged in. */
async function offerConsole(app: App, url: string, io: CommandIo): Promise<void> {
  const { config, consoleSessions } = app;
  if (config.databaseUrl !== undefined && io.stdout.isTTY !== true) return;
  const link = await consoleSessions.offerLink(await getConsoleKey(app));
  // Behind the hash: no server and no log gets to see it.
  writeHint(
    io,
    io.stdout,
    "Open the console; this link logs in once, within ten minutes (afterwards: an API key):",
  );
  writeHint(io, io.stdout, `  ${config.publicUrl ?? url}/console/#login=${link}`);
}

const consoleLabel = "console, by links of avatars up";

/** The key of such sessions. Its token was never shown: it is there to be seen in the list, and to be revoked. */
async function getConsoleKey({ apiKeys, operator }: App): Promise<ApiKey> {
  const known = (await apiKeys.list()).find(isUsable);
  return known ?? (await apiKeys.create({ label: consoleLabel, scopes: apiScopes }, operator)).key;
}

function isUsable({ label, scopes, instanceIds, revokedAt, expiresAt }: ApiKey): boolean {
  const isWhole = apiScopes.every((scope) => scopes.includes(scope)) && instanceIds === undefined;
  return label === consoleLabel && isWhole && revokedAt === undefined && expiresAt === undefined;
}
