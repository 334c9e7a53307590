import { resolve } from "node:path";
import { z } from "zod";
import { parseApiHosts, type ApiHost } from "./domain/api-host.ts";
import { parseInstanceId, type InstanceId } from "./domain/instance-id.ts";
import { parseCron } from "./domain/resync/cron-pattern.ts";
import { parseWindow } from "./domain/resync/daily-window.ts";
import type { RefreshIntervals, RefreshPolicy } from "./domain/refresh/refresh-policy.ts";
import type { ResyncSchedule } from "./domain/resync/resync-schedule.ts";
import { instanceTokenForm, isInstanceToken } from "./domain/instance-token.ts";
import { parseTimeZone } from "./domain/resync/time-zone.ts";
import type { SettingParse } from "./domain/setting-parse.ts";
import { normalizeApiUrl } from "./lib/api-url.ts";
import { parseDurationMs } from "./lib/duration.ts";
import { UserError } from "./lib/errors.ts";
import { parseTrustedProxies } from "./lib/trusted-proxies.ts";

const wholeNumber = (min: number, max: number, unit = "") =>
  z.coerce
    .number(`a number${unit}`)
    .int(`a whole number${unit}`)
    .min(min, `at least ${min}`)
    .max(max, `at most ${max}`);

const milliseconds = (fallback: number, min = 1) =>
  wholeNumber(min, 2 ** 31 - 1, " of milliseconds").default(fallback);

const minKeptMs = 86_400_000;

/** How long something is kept, ms; undefined: for ever. No idempotency key, which lives for a day, must outlive its batch. */
const kept = (fallback: string) =>
  z
    .string()
    .default(fallback)
    .transform((text, context) => {
      if (text.trim().toLowerCase() === "forever") return undefined;
      const ms = readDurationMs(text);
      if (ms !== undefined && ms >= minKeptMs) return ms;
      context.addIssue({ code: "custom", message: "forever, or a duration of 1d at least, such as 90d" });
      return z.NEVER;
    });

/** Undefined: it is none. */
function readDurationMs(text: string): number | undefined {
  try {
    return parseDurationMs(text, "");
  } catch {
    return undefined;
  }
}

const url = (...protocols: string[]) =>
  z.string().refine((text) => URL.canParse(text) && protocols.includes(new URL(text).protocol), {
    error: `a URL that starts with ${protocols.map((protocol) => `${protocol}//`).join(" or ")}`,
  });

/**
 * A rate that no instance is allowed to exceed by mistake; a real one is 10 (provider contract, Budget). Below the
 * lower bound a claim would expire before its slot comes.
 */
const rate = z.coerce.number("a number").min(0.1, "at least 0.1").max(10_000, "at most 10000");

/** Read by lib/duration.ts. */
const duration = (atLeast: string, fallback: string) =>
  z
    .string()
    .default(fallback)
    .transform((text, context) => {
      const ms = readDurationMs(text);
      if (ms !== undefined && ms >= parseDurationMs(atLeast, "")) return ms;
      context.addIssue({ code: "custom", message: `a duration of at least ${atLeast}, e.g. 7d or 12h` });
      return z.NEVER;
    });

/** How long a contact rests that nobody asks for, ms; null: for ever. */
const interval = z.string().transform((text, context) => {
  if (text.trim().toLowerCase() === "never") return null;
  const ms = readDurationMs(text);
  if (ms !== undefined && ms >= 3_600_000) return ms;
  context.addIssue({ code: "custom", message: "a duration of at least 1h, e.g. 7d or 12h, or never" });
  return z.NEVER;
});

/** A text that has a parser of its own. */
const parsedBy = <Value>(parse: (text: string) => SettingParse<Value>) =>
  z.string().transform((text, context) => {
    const parsed = parse(text.trim());
    if (parsed.ok) return parsed.value;
    context.addIssue({ code: "custom", message: parsed.expected });
    return z.NEVER;
  });

const cronOrOff = (text: string): SettingParse<ResyncSchedule["cron"] | undefined> =>
  text.toLowerCase() === "off" ? { ok: true, value: undefined } : parseCron(text);

const share = z.coerce.number("a number").min(0, "at least 0").max(1, "at most 1");

const instanceId = z.string().transform((text, context) => {
  const id = parseInstanceId(text);
  if (id === undefined) context.addIssue({ code: "custom", message: "digits only" });
  return id as InstanceId;
});

/** Every setting of every command. The README's table is checked against it. */
const settingsSchema = z.object({
  DATABASE_URL: url("postgres:", "postgresql:").optional(),
  REDIS_URL: url("redis:", "rediss:").optional(),
  GREEN_API_URL: url("http:", "https:").optional(),
  GREEN_API_ID_INSTANCE: instanceId.optional(),
  GREEN_API_TOKEN: z
    .string()
    .trim()
    .refine(isInstanceToken, `${instanceTokenForm}: apiTokenInstance, as the console shows it`)
    .optional(),
  AVATARS_SECRET_KEY: z
    .string()
    .transform((text) => Buffer.from(text, "base64"))
    .refine((key) => key.length === 32, "32 bytes in base64; make one with: openssl rand -base64 32")
    .optional(),
  AVATARS_SOURCE_URL: url("postgres:", "postgresql:").optional(),
  AVATARS_SOURCE_TIMEOUT_MS: milliseconds(60_000),
  AVATARS_SOURCE_QUERY: z.string().optional(),
  AVATARS_SOURCE_INSTANCE: instanceId.optional(),
  AVATARS_SOURCE_DEFAULT_COUNTRY: z
    .string()
    .trim()
    .regex(/^[a-z]{2}$/i, "a country code of two letters, e.g. DE")
    .optional(),
  AVATARS_SOURCE_GONE: z.enum(["keep", "stop"], "keep or stop").default("keep"),
  AVATARS_REQUESTS_PER_SECOND: rate.default(10),
  AVATARS_MAX_IN_FLIGHT: wholeNumber(1, 100_000).optional(),
  AVATARS_OLDEST_SHARE: z.coerce
    .number("a number")
    .min(0, "at least 0")
    .max(0.5, "at most 0.5")
    .default(0.05),
  AVATARS_CALL_TIMEOUT_MS: milliseconds(70_000),
  AVATARS_MAX_ATTEMPTS: wholeNumber(1, 1000).default(5),
  AVATARS_RETRY_BASE_MS: milliseconds(2_000, 0),
  AVATARS_RETRY_MAX_MS: milliseconds(300_000, 0),
  AVATARS_PROBE_BASE_MS: milliseconds(15_000),
  AVATARS_PROBE_MAX_MS: milliseconds(600_000),
  AVATARS_REFRESH_PRESENT: interval.prefault("7d"),
  AVATARS_REFRESH_ABSENT: interval.prefault("14d"),
  AVATARS_REFRESH_HIDDEN: interval.prefault("30d"),
  AVATARS_REFRESH_INVALID: interval.prefault("never"),
  AVATARS_REFRESH_UNREACHABLE: interval.prefault("1d"),
  AVATARS_REFRESH_UNREACHABLE_MAX: duration("1h", "30d"),
  AVATARS_REFRESH_GROUPS_PRESENT: interval.optional(),
  AVATARS_REFRESH_GROUPS_ABSENT: interval.optional(),
  AVATARS_REFRESH_GROUPS_HIDDEN: interval.optional(),
  AVATARS_REFRESH_SOONEST: duration("1h", "1d"),
  AVATARS_REFRESH_LATEST: duration("1h", "60d"),
  AVATARS_KEEP_URLS_FRESH: z
    .stringbool({
      truthy: ["true", "1", "yes", "on"],
      falsy: ["false", "0", "no", "off"],
      error: "true or false",
    })
    .prefault("true"),
  AVATARS_URL_MARGIN: duration("0", "1d"),
  AVATARS_RESYNC_CRON: parsedBy(cronOrOff).prefault("0 2 * * *"),
  AVATARS_RESYNC_TZ: parsedBy(parseTimeZone).prefault("UTC"),
  AVATARS_RESYNC_WINDOW: parsedBy(parseWindow).prefault("02:00-06:00"),
  AVATARS_RESYNC_SHARE: share.default(1),
  AVATARS_RESYNC_DAY_SHARE: share.default(0.3),
  AVATARS_RUN_SLICE_MS: milliseconds(30_000),
  AVATARS_RUNS_PER_PROCESS: wholeNumber(1, 10_000).default(250),
  AVATARS_SHUTDOWN_GRACE_MS: milliseconds(25_000, 0),
  AVATARS_KEEP_CHANGES: kept("365d"),
  AVATARS_KEEP_BATCHES: kept("90d"),
  AVATARS_DATA_DIR: z
    .string()
    .min(1)
    .default(".avatars")
    .transform((path) => resolve(path)),
  HOST: z.string().trim().default("127.0.0.1"),
  PORT: wholeNumber(0, 65_535).default(3_000),
  AVATARS_API_REQUESTS_PER_MINUTE: wholeNumber(1, 1_000_000).default(3_000),
  AVATARS_TRUSTED_PROXIES: parsedBy(parseTrustedProxies).optional(),
  AVATARS_API_HOSTS: parsedBy(parseApiHosts).optional(),
  METRICS_PORT: wholeNumber(0, 65_535).optional(),
  METRICS_HOST: z.string().trim().default("127.0.0.1"),
  LOG_LEVEL: z.enum(["trace", "debug", "info", "warn", "error", "fatal", "silent"]).optional(),
});

type Settings = z.infer<typeof settingsSchema>;

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
  if (!parsed.success || faults.length > 0) {
    throw new UserError("invalid-settings", `settings: ${faults.join("; ")}`);
  }
  return toConfig(parsed.data, env["PATH"] ?? "");
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

function toConfig(settings: Settings, path: string): Config {
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
    api: {
      host: settings.HOST,
      port: settings.PORT,
      requestsPerMinute: settings.AVATARS_API_REQUESTS_PER_MINUTE,
      trustedProxies: settings.AVATARS_TRUSTED_PROXIES ?? [],
      hosts: settings.AVATARS_API_HOSTS ?? [],
    },
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
