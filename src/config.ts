import type { z } from "zod";
import type { RefreshIntervals, RefreshPolicy } from "./domain/refresh/refresh-policy.ts";
import type { ResyncSchedule } from "./domain/resync/resync-schedule.ts";
import { normalizeApiUrl } from "./lib/api-url.ts";
import { UserError } from "./lib/errors.ts";
import {
  chooseUnsetImages,
  parseImagesSetting,
  type ImagesSetting,
} from "./images/blobs/parse-images-setting.ts";
import { findVariable, listSettings, toTree } from "./setting-tree.ts";
import { imageSettingsSchema, settingsSchema, type Settings } from "./settings-schema.ts";

/** The settings of this process, parsed and complete. */
export type Config = Readonly<ReturnType<typeof toConfig>>;

/** A query whose contacts are brought in by each night. */
export type NightlySource = NonNullable<ReturnType<typeof toNightlySource>>;

const settings = [...listSettings(settingsSchema), ...listSettings(imageSettingsSchema)];

/** The names of all settings, for the documentation's test. */
export const settingNames: readonly string[] = settings.map(({ name }) => name);

/** Those of them that have a default, for the same. */
export const settingsWithDefault: readonly string[] = settings
  .filter(({ fallback }) => fallback !== undefined)
  .map(({ name }) => name);

/**
 * Reads all settings, and reports all faults at once. An empty variable counts as unset, as compose files
 * leave them.
 * @throws UserError `invalid-settings`
 */
export function readConfig(env: NodeJS.ProcessEnv = process.env): Config {
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value?.trim() !== ""));
  const parsed = settingsSchema.safeParse(toTree(settingsSchema, given));
  const faults = parsed.success ? [] : parsed.error.issues.map(toFault);
  const missing = findMissingCredentials(given);
  if (missing) faults.push(missing);
  if (given["AVATARS_SOURCE_QUERY"] !== undefined && given["AVATARS_SOURCE_URL"] === undefined)
    faults.push("AVATARS_SOURCE_URL must be set too: AVATARS_SOURCE_QUERY runs there");
  const images = parseImagesSetting(given);
  if (!images.ok) faults.push(...images.faults);
  const misplaced = parsed.success ? findMisplacedUrl(parsed.data) : undefined;
  if (misplaced) faults.push(misplaced);
  if (!parsed.success || !images.ok || faults.length > 0) {
    throw new UserError("invalid-settings", `settings: ${faults.join("; ")}`);
  }
  return toConfig(parsed.data, images.value, env["PATH"] ?? "");
}

/** Never the value: it may be a secret. */
function toFault(issue: z.core.$ZodIssue): string {
  const expected = issue.message.replace(/^Invalid (input|option): expected /, "");
  return `${findVariable(settingsSchema, issue.path)} must be ${expected}`;
}

const credentialNames = ["GREEN_API_URL", "GREEN_API_ID_INSTANCE", "GREEN_API_TOKEN"];

function findMissingCredentials(env: NodeJS.ProcessEnv): string | undefined {
  const missing = credentialNames.filter((name) => env[name] === undefined);
  if (missing.length === 0 || missing.length === credentialNames.length) return undefined;
  return `${missing.join(" and ")} must be set too: the three of GREEN_API_* belong together`;
}

/** Addresses of images, of hooks and of the console would lead past the path. Without it a proxy may take off any path. */
function findMisplacedUrl({ publicUrl, api: { basePath = "" } }: Settings): string | undefined {
  if (publicUrl === undefined || basePath === "" || new URL(publicUrl).pathname === basePath)
    return undefined;
  return `AVATARS_PUBLIC_URL must have the path of AVATARS_BASE_PATH, ${basePath}: it is where the API is reached from outside`;
}

/** Most settings are in their place already; here are those that belong together. */
function toConfig(
  { greenApi, nightlySource, ...settings }: Settings,
  chosenImages: ImagesSetting | undefined,
  path: string,
) {
  const images = chosenImages ?? chooseUnsetImages(settings.dataDir, settings.databaseUrl === undefined);
  const { cron, timeZone, window, share, dayShare } = settings.resync;
  const schedule: ResyncSchedule | undefined = cron && { cron, timeZone, window };
  const source = toNightlySource(nightlySource, settings);
  const { trustedProxies = [], hosts = [], basePath = "", ...api } = settings.api;
  return {
    ...settings,
    /** An instance that needs no `instance add`. */
    greenApi: toCredentials(greenApi),
    refresh: toRefreshPolicy(settings.refresh, images),
    resync: { schedule, share, dayShare, source },
    api: { ...api, trustedProxies, hosts, basePath },
    /** Where images are kept: beside the embedded database unless it is set, else nowhere. */
    images,
    imageHosts: settings.imageHosts ?? [],
    /** Passed on to programs that we start. */
    path,
  };
}

function toCredentials({ apiUrl, instanceId, token }: Settings["greenApi"]) {
  return apiUrl && instanceId && token ? { apiUrl: normalizeApiUrl(apiUrl), instanceId, token } : undefined;
}

function toNightlySource(
  { query, instanceId, defaultCountry, gone }: Settings["nightlySource"],
  { sourceUrl, sourceTimeoutMs }: Pick<Settings, "sourceUrl" | "sourceTimeoutMs">,
) {
  if (sourceUrl === undefined || query === undefined) return undefined;
  const fetchMs = sourceTimeoutMs;
  return { url: sourceUrl, query, fetchMs, instanceId, defaultCountry, stopsGone: gone === "stop" };
}

/** What is undefined for a group is as it is for a user. */
function toRefreshPolicy(
  { users, groups, keepUrlsFresh, ...bounds }: Settings["refresh"],
  images: ImagesSetting,
): RefreshPolicy {
  const orUsers = (name: keyof typeof groups) => (groups[name] === undefined ? users[name] : groups[name]);
  const ofGroups = {
    presentMs: orUsers("presentMs"),
    absentMs: orUsers("absentMs"),
    hiddenMs: orUsers("hiddenMs"),
  };
  return {
    ...bounds,
    // An image outlives the URL that it was taken from: a call for another URL of it brings nothing.
    keepUrlsFresh: keepUrlsFresh ?? images.kind === "off",
    users: toIntervals(users),
    groups: toIntervals({ ...users, ...ofGroups }),
  };
}

function toIntervals(given: Settings["refresh"]["users"]): RefreshIntervals {
  return {
    presentMs: given.presentMs ?? undefined,
    absentMs: given.absentMs ?? undefined,
    hiddenMs: given.hiddenMs ?? undefined,
    invalidMs: given.invalidMs ?? undefined,
    unreachableMs: given.unreachableMs ?? undefined,
    unreachableMaxMs: given.unreachableMaxMs,
  };
}

/** LOG_LEVEL as it is, for a failure that comes before the settings are read. */
export function readLogLevel(env: NodeJS.ProcessEnv = process.env): string | undefined {
  return env["LOG_LEVEL"];
}

/** Was this process started by npm: by npx, or by a script of a package.json? */
export function isStartedByNpm(env: NodeJS.ProcessEnv = process.env): boolean {
  return env["npm_command"] !== undefined;
}
