import type { z } from "zod";
import type { ApiHost } from "./domain/api-host.ts";
import type { HostPort } from "./domain/host-port.ts";
import type { InstanceId } from "./domain/instance-id.ts";
import type { RefreshIntervals, RefreshPolicy } from "./domain/refresh/refresh-policy.ts";
import type { ResyncSchedule } from "./domain/resync/resync-schedule.ts";
import { normalizeApiUrl } from "./lib/api-url.ts";
import { UserError } from "./lib/errors.ts";
import {
  chooseUnsetImages,
  parseImagesSetting,
  type ImagesSetting,
} from "./images/blobs/parse-images-setting.ts";
import { settingsSchema, type Settings } from "./settings-schema.ts";

/** A query whose contacts are brought in by each night. */
export interface NightlySource {
  readonly url: string;
  readonly query: string;
  /** Undefined: the only one there is. */
  readonly instanceId: InstanceId | undefined;
  readonly defaultCountry: string | undefined;
  /** Contacts that are not in the list any more are refreshed no longer. */
  readonly stopsGone: boolean;
  /** ms, for each fetch. */
  readonly fetchMs: number;
}

/** The settings of this process, parsed and complete. */
export interface Config {
  readonly databaseUrl: string | undefined;
  readonly redisUrl: string | undefined;
  /** An instance that needs no `instance add`. */
  readonly greenApi:
    | { readonly instanceId: InstanceId; readonly apiUrl: string; readonly token: string }
    | undefined;
  /** 32 bytes. */
  readonly secretKey: Buffer | undefined;
  /** The database that `import --from-query` reads. */
  readonly sourceUrl: string | undefined;
  /** For each fetch of its rows. */
  readonly sourceTimeoutMs: number;
  readonly requestsPerSecond: number;
  readonly maxInFlight: number | undefined;
  /** The share of the calls that goes to what has been due for longest, whatever its priority. */
  readonly oldestShare: number;
  readonly callTimeoutMs: number;
  readonly retry: { readonly maxAttempts: number; readonly retryBaseMs: number; readonly retryMaxMs: number };
  /** The waits between two probes of a held instance: the first one, and the longest. */
  readonly probeBaseMs: number;
  readonly probeMaxMs: number;
  readonly refresh: RefreshPolicy;
  readonly resync: {
    /** Undefined: there is none. */
    readonly schedule: ResyncSchedule | undefined;
    /** Of the calls of each instance, within the window and outside of it; an instance may have its own. */
    readonly share: number;
    readonly dayShare: number;
    /** What each night begins with; undefined: nothing. */
    readonly source: NightlySource | undefined;
  };
  readonly runSliceMs: number;
  readonly runsPerProcess: number;
  readonly shutdownGraceMs: number;
  /** From when the call was sent that saw the change. Undefined: for ever. */
  readonly keepChangesMs: number | undefined;
  /** From the end of the batch. Undefined: for ever. */
  readonly keepBatchesMs: number | undefined;
  /** Absolute. */
  readonly dataDir: string;
  /** Where pictures are kept. */
  readonly images: ImagesSetting;
  readonly api: {
    readonly host: string;
    /** 0: a free one. */
    readonly port: number;
    /** Of each key, in each process. */
    readonly requestsPerMinute: number;
    /** Addresses, ranges, or names of ranges. None: `X-Forwarded-For` is not looked at. */
    readonly trustedProxies: readonly string[];
    /** Where an apiUrl may point that comes over HTTP, beside GREEN-API's own hosts. */
    readonly hosts: readonly ApiHost[];
  };
  /** Where pictures are taken from beside the messengers' hosts: by http too, and wherever they are. */
  readonly imageHosts: readonly HostPort[];
  /** Undefined: no metrics are served. 0: on a free port. */
  readonly metricsPort: number | undefined;
  readonly metricsHost: string;
  readonly logLevel: Settings["LOG_LEVEL"];
  /** Passed on to programs that we start. */
  readonly path: string;
}

/** The names of all settings, for the documentation's test. */
export const settingNames: readonly string[] = Object.keys(settingsSchema.shape);

/** Those of them that have a default, for the same. */
export const settingsWithDefault: readonly string[] = Object.entries(settingsSchema.parse({})).flatMap(
  ([name, value]) => (value === undefined ? [] : [name]),
);

/**
 * Reads all settings, and reports all faults at once. An empty variable counts as unset, as compose files
 * leave them.
 * @throws UserError `invalid-settings`
 */
export function readConfig(env: NodeJS.ProcessEnv = process.env): Config {
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value?.trim() !== ""));
  const parsed = settingsSchema.safeParse(given);
  const faults = parsed.success ? [] : parsed.error.issues.map(toFault);
  const missing = findMissingCredentials(given);
  if (missing) faults.push(missing);
  if (given["AVATARS_SOURCE_QUERY"] !== undefined && given["AVATARS_SOURCE_URL"] === undefined)
    faults.push("AVATARS_SOURCE_URL must be set too: AVATARS_SOURCE_QUERY runs there");
  const images = parseImagesSetting(given);
  if (!images.ok) faults.push(...images.faults);
  if (!parsed.success || !images.ok || faults.length > 0) {
    throw new UserError("invalid-settings", `settings: ${faults.join("; ")}`);
  }
  return toConfig(parsed.data, images.value, env["PATH"] ?? "");
}

/** Never the value: it may be a secret. */
function toFault(issue: z.core.$ZodIssue): string {
  const expected = issue.message.replace(/^Invalid (input|option): expected /, "");
  return `${issue.path.join(".")} must be ${expected}`;
}

const credentialNames = ["GREEN_API_URL", "GREEN_API_ID_INSTANCE", "GREEN_API_TOKEN"];

function findMissingCredentials(env: NodeJS.ProcessEnv): string | undefined {
  const missing = credentialNames.filter((name) => env[name] === undefined);
  if (missing.length === 0 || missing.length === credentialNames.length) return undefined;
  return `${missing.join(" and ")} must be set too: the three of GREEN_API_* belong together`;
}

function toConfig(settings: Settings, images: ImagesSetting | undefined, path: string): Config {
  const { GREEN_API_URL: apiUrl, GREEN_API_ID_INSTANCE: instanceId, GREEN_API_TOKEN: token } = settings;
  return {
    databaseUrl: settings.DATABASE_URL,
    redisUrl: settings.REDIS_URL,
    greenApi:
      apiUrl && instanceId && token ? { apiUrl: normalizeApiUrl(apiUrl), instanceId, token } : undefined,
    secretKey: settings.AVATARS_SECRET_KEY,
    sourceUrl: settings.AVATARS_SOURCE_URL,
    sourceTimeoutMs: settings.AVATARS_SOURCE_TIMEOUT_MS,
    requestsPerSecond: settings.AVATARS_REQUESTS_PER_SECOND,
    maxInFlight: settings.AVATARS_MAX_IN_FLIGHT,
    oldestShare: settings.AVATARS_OLDEST_SHARE,
    callTimeoutMs: settings.AVATARS_CALL_TIMEOUT_MS,
    retry: {
      maxAttempts: settings.AVATARS_MAX_ATTEMPTS,
      retryBaseMs: settings.AVATARS_RETRY_BASE_MS,
      retryMaxMs: settings.AVATARS_RETRY_MAX_MS,
    },
    probeBaseMs: settings.AVATARS_PROBE_BASE_MS,
    probeMaxMs: settings.AVATARS_PROBE_MAX_MS,
    refresh: toRefreshPolicy(settings),
    resync: {
      schedule: toSchedule(settings),
      share: settings.AVATARS_RESYNC_SHARE,
      dayShare: settings.AVATARS_RESYNC_DAY_SHARE,
      source: toNightlySource(settings),
    },
    runSliceMs: settings.AVATARS_RUN_SLICE_MS,
    runsPerProcess: settings.AVATARS_RUNS_PER_PROCESS,
    shutdownGraceMs: settings.AVATARS_SHUTDOWN_GRACE_MS,
    keepChangesMs: settings.AVATARS_KEEP_CHANGES,
    keepBatchesMs: settings.AVATARS_KEEP_BATCHES,
    dataDir: settings.AVATARS_DATA_DIR,
    images: images ?? chooseUnsetImages(settings.AVATARS_DATA_DIR, settings.DATABASE_URL === undefined),
    api: {
      host: settings.HOST,
      port: settings.PORT,
      requestsPerMinute: settings.AVATARS_API_REQUESTS_PER_MINUTE,
      trustedProxies: settings.AVATARS_TRUSTED_PROXIES ?? [],
      hosts: settings.AVATARS_API_HOSTS ?? [],
    },
    imageHosts: settings.AVATARS_IMAGE_HOSTS ?? [],
    metricsPort: settings.METRICS_PORT,
    metricsHost: settings.METRICS_HOST,
    logLevel: settings.LOG_LEVEL,
    path,
  };
}

function toNightlySource(settings: Settings): NightlySource | undefined {
  const { AVATARS_SOURCE_URL: sourceUrl, AVATARS_SOURCE_QUERY: query } = settings;
  if (sourceUrl === undefined || query === undefined) return undefined;
  return {
    url: sourceUrl,
    query,
    instanceId: settings.AVATARS_SOURCE_INSTANCE,
    defaultCountry: settings.AVATARS_SOURCE_DEFAULT_COUNTRY,
    stopsGone: settings.AVATARS_SOURCE_GONE === "stop",
    fetchMs: settings.AVATARS_SOURCE_TIMEOUT_MS,
  };
}

function toSchedule(settings: Settings): ResyncSchedule | undefined {
  const { AVATARS_RESYNC_CRON: cron, AVATARS_RESYNC_TZ: timeZone, AVATARS_RESYNC_WINDOW: window } = settings;
  return cron && { cron, timeZone, window };
}

/** A setting that may be left out; null: never. */
function orElse(ms: number | null | undefined, otherwise: number | undefined): number | undefined {
  return ms === undefined ? otherwise : (ms ?? undefined);
}

function toRefreshPolicy(settings: Settings): RefreshPolicy {
  const users: RefreshIntervals = {
    presentMs: settings.AVATARS_REFRESH_PRESENT ?? undefined,
    absentMs: settings.AVATARS_REFRESH_ABSENT ?? undefined,
    hiddenMs: settings.AVATARS_REFRESH_HIDDEN ?? undefined,
    invalidMs: settings.AVATARS_REFRESH_INVALID ?? undefined,
    unreachableMs: settings.AVATARS_REFRESH_UNREACHABLE ?? undefined,
    unreachableMaxMs: settings.AVATARS_REFRESH_UNREACHABLE_MAX,
  };
  return {
    users,
    groups: {
      ...users,
      presentMs: orElse(settings.AVATARS_REFRESH_GROUPS_PRESENT, users.presentMs),
      absentMs: orElse(settings.AVATARS_REFRESH_GROUPS_ABSENT, users.absentMs),
      hiddenMs: orElse(settings.AVATARS_REFRESH_GROUPS_HIDDEN, users.hiddenMs),
    },
    soonestMs: settings.AVATARS_REFRESH_SOONEST,
    latestMs: settings.AVATARS_REFRESH_LATEST,
    keepUrlsFresh: settings.AVATARS_KEEP_URLS_FRESH,
    urlMarginMs: settings.AVATARS_URL_MARGIN,
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
