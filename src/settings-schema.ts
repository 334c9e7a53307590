import { resolve } from "node:path";
import { z } from "zod";
import { parseApiHosts } from "./domain/api-host.ts";
import { parseHostPorts } from "./domain/host-port.ts";
import { parseWindow } from "./domain/daily-window.ts";
import { instanceTokenForm, isInstanceToken } from "./domain/instance-token.ts";
import { parseTimeZone } from "./domain/time-zone.ts";
import { parseNetworks } from "./lib/addresses/networks.ts";
import { parseTrustedProxies } from "./lib/addresses/trusted-proxies.ts";
import {
  basePath,
  wholeNumber,
  milliseconds,
  kept,
  url,
  rate,
  duration,
  interval,
  parsedBy,
  cronOrOff,
  share,
  instanceId,
} from "./setting-kinds.ts";
import { setting } from "./setting-tree.ts";

/**
 * Every setting of every command: its variable, what it must be, and its place in the configuration. Faults are told in this
 * order. The table in docs/configuration.md is checked against it.
 */
export const settingsSchema = z.object({
  databaseUrl: setting("DATABASE_URL", url("postgres:", "postgresql:").optional()),
  redisUrl: setting("REDIS_URL", url("redis:", "rediss:").optional()),
  greenApi: z.object({
    apiUrl: setting("GREEN_API_URL", url("http:", "https:").optional()),
    instanceId: setting("GREEN_API_ID_INSTANCE", instanceId.optional()),
    token: setting(
      "GREEN_API_TOKEN",
      z
        .string()
        .trim()
        .refine(isInstanceToken, `${instanceTokenForm}: apiTokenInstance, as the console shows it`)
        .optional(),
    ),
  }),
  /** 32 bytes. */
  secretKey: setting(
    "AVATARS_SECRET_KEY",
    z
      .string()
      .transform((text): Buffer => Buffer.from(text, "base64"))
      .refine((key) => key.length === 32, "32 bytes in base64; make one with: openssl rand -base64 32")
      .optional(),
  ),
  /** The database that `import --from-query` and the nights' query read. */
  sourceUrl: setting("AVATARS_SOURCE_URL", url("postgres:", "postgresql:").optional()),
  /** For each fetch of its rows. */
  sourceTimeoutMs: setting("AVATARS_SOURCE_TIMEOUT_MS", milliseconds(60_000)),
  /** The query whose contacts each night begins with. */
  nightlySource: z.object({
    query: setting("AVATARS_SOURCE_QUERY", z.string().optional()),
    /** Undefined: the only one there is. */
    instanceId: setting("AVATARS_SOURCE_INSTANCE", instanceId.optional()),
    defaultCountry: setting(
      "AVATARS_SOURCE_DEFAULT_COUNTRY",
      z
        .string()
        .trim()
        .regex(/^[a-z]{2}$/i, "a country code of two letters, e.g. DE")
        .optional(),
    ),
    /** What becomes of contacts that are not in the list any more: `stop` refreshes them no longer. */
    gone: setting("AVATARS_SOURCE_GONE", z.enum(["keep", "stop"], "keep or stop").default("keep")),
  }),
  requestsPerSecond: setting("AVATARS_REQUESTS_PER_SECOND", rate.default(10)),
  maxInFlight: setting("AVATARS_MAX_IN_FLIGHT", wholeNumber(1, 100_000).optional()),
  /** The share of the calls that goes to what has been due for longest, whatever its priority. */
  oldestShare: setting(
    "AVATARS_OLDEST_SHARE",
    z.coerce.number("a number").min(0, "at least 0").max(0.5, "at most 0.5").default(0.05),
  ),
  callTimeoutMs: setting("AVATARS_CALL_TIMEOUT_MS", milliseconds(70_000)),
  retry: z.object({
    maxAttempts: setting("AVATARS_MAX_ATTEMPTS", wholeNumber(1, 1000).default(5)),
    retryBaseMs: setting("AVATARS_RETRY_BASE_MS", milliseconds(2_000, 0)),
    retryMaxMs: setting("AVATARS_RETRY_MAX_MS", milliseconds(300_000, 0)),
  }),
  /** The waits between two probes of a held instance: the first one, and the longest. */
  probeBaseMs: setting("AVATARS_PROBE_BASE_MS", milliseconds(15_000)),
  probeMaxMs: setting("AVATARS_PROBE_MAX_MS", milliseconds(600_000)),
  /** In ms, null: never; as the policy of domain/refresh has it. */
  refresh: z.object({
    users: z.object({
      presentMs: setting("AVATARS_REFRESH_PRESENT", interval.prefault("7d")),
      absentMs: setting("AVATARS_REFRESH_ABSENT", interval.prefault("14d")),
      hiddenMs: setting("AVATARS_REFRESH_HIDDEN", interval.prefault("30d")),
      invalidMs: setting("AVATARS_REFRESH_INVALID", interval.prefault("never")),
      unreachableMs: setting("AVATARS_REFRESH_UNREACHABLE", interval.prefault("1d")),
      unreachableMaxMs: setting("AVATARS_REFRESH_UNREACHABLE_MAX", duration("1h", "30d")),
    }),
    /** Undefined: as users. */
    groups: z.object({
      presentMs: setting("AVATARS_REFRESH_GROUPS_PRESENT", interval.optional()),
      absentMs: setting("AVATARS_REFRESH_GROUPS_ABSENT", interval.optional()),
      hiddenMs: setting("AVATARS_REFRESH_GROUPS_HIDDEN", interval.optional()),
    }),
    soonestMs: setting("AVATARS_REFRESH_SOONEST", duration("1h", "1d")),
    latestMs: setting("AVATARS_REFRESH_LATEST", duration("1h", "60d")),
    keepUrlsFresh: setting(
      "AVATARS_KEEP_URLS_FRESH",
      z
        .stringbool({
          truthy: ["true", "1", "yes", "on"],
          falsy: ["false", "0", "no", "off"],
          error: "true or false",
        })
        .optional(),
    ),
    urlMarginMs: setting("AVATARS_URL_MARGIN", duration("0", "1d")),
  }),
  /** The age from which the answer of a contact is asked for again when the provider tells of its chat. Null: never. */
  signalMaxAgeMs: setting("AVATARS_SIGNAL_MAX_AGE", interval.prefault("1d")),
  resync: z.object({
    /** Undefined: there are no nights. */
    cron: setting("AVATARS_RESYNC_CRON", parsedBy(cronOrOff).prefault("0 2 * * *")),
    timeZone: setting("AVATARS_RESYNC_TZ", parsedBy(parseTimeZone).prefault("UTC")),
    window: setting("AVATARS_RESYNC_WINDOW", parsedBy(parseWindow).prefault("02:00-06:00")),
    /** Of the calls of each instance, within the window and outside of it; an instance may have its own. */
    share: setting("AVATARS_RESYNC_SHARE", share.default(1)),
    dayShare: setting("AVATARS_RESYNC_DAY_SHARE", share.default(0.3)),
  }),
  runSliceMs: setting("AVATARS_RUN_SLICE_MS", milliseconds(30_000)),
  runsPerProcess: setting("AVATARS_RUNS_PER_PROCESS", wholeNumber(1, 10_000).default(250)),
  shutdownGraceMs: setting("AVATARS_SHUTDOWN_GRACE_MS", milliseconds(25_000, 0)),
  /** From when the call was sent that saw the change. Undefined: for ever. */
  keepChangesMs: setting("AVATARS_KEEP_CHANGES", kept("365d")),
  /** From the end of the batch. Undefined: for ever. */
  keepBatchesMs: setting("AVATARS_KEEP_BATCHES", kept("90d")),
  /** Of rows of the audit log. Undefined: for ever. */
  keepAuditMs: setting("AVATARS_KEEP_AUDIT", kept("400d")),
  /** Absolute. */
  dataDir: setting(
    "AVATARS_DATA_DIR",
    z
      .string()
      .min(1)
      .default(".avatars")
      .transform((path) => resolve(path)),
  ),
  api: z.object({
    host: setting("HOST", z.string().trim().default("127.0.0.1")),
    /** 0: a free one. */
    port: setting("PORT", wholeNumber(0, 65_535).default(3_000)),
    /** The path below which a proxy has the API, without a slash at its end; empty: none. */
    basePath: setting("AVATARS_BASE_PATH", basePath.optional()),
    /** Whether numbers, which the console masks, may be asked for in it. */
    consoleReveal: setting("AVATARS_CONSOLE_REVEAL", z.enum(["on", "off"], "on or off").default("on")),
    /** Of each key, in each process. */
    requestsPerMinute: setting("AVATARS_API_REQUESTS_PER_MINUTE", wholeNumber(1, 1_000_000).default(3_000)),
    /** Of images at the addresses of contacts, of each caller's address, in each process. */
    imageRequestsPerMinute: setting(
      "AVATARS_IMAGE_REQUESTS_PER_MINUTE",
      wholeNumber(1, 100_000_000).default(12_000),
    ),
    /** Addresses, ranges, or names of ranges. Undefined: `X-Forwarded-For` is not looked at. */
    trustedProxies: setting("AVATARS_TRUSTED_PROXIES", parsedBy(parseTrustedProxies).optional()),
    /** Where an apiUrl may point that comes over HTTP, beside GREEN-API's own hosts. */
    hosts: setting("AVATARS_API_HOSTS", parsedBy(parseApiHosts).optional()),
  }),
  /** Where the API is reached from outside, without a slash at its end: the base of addresses of images. */
  publicUrl: setting(
    "AVATARS_PUBLIC_URL",
    url("http:", "https:")
      .transform((text) => (text.endsWith("/") ? text.slice(0, -1) : text))
      .optional(),
  ),
  /** Where images are taken from beside the messengers' hosts: by http too, and wherever they are. Undefined: nowhere else. */
  imageHosts: setting("AVATARS_IMAGE_HOSTS", parsedBy(parseHostPorts).optional()),
  webhooks: z.object({
    /** Reached by webhooks beside public addresses, and by http too. Undefined: https to public addresses alone. */
    networks: setting("AVATARS_WEBHOOK_NETWORKS", parsedBy(parseNetworks).optional()),
  }),
  /** How much taking images may use, in each process. */
  imageFetch: z.object({
    /** At a time, from all hosts and from each. */
    inFlight: setting("AVATARS_IMAGES_IN_FLIGHT", wholeNumber(1, 1_000).default(32)),
    perHost: setting("AVATARS_IMAGES_PER_HOST", wholeNumber(1, 1_000).default(16)),
    bytesPerSecond: setting(
      "AVATARS_IMAGES_BYTES_PER_SECOND",
      wholeNumber(10_000, 10_000_000_000).default(50_000_000),
    ),
  }),
  /** Images that are not shown any more: removed, or kept with the change history. */
  keepImages: setting(
    "AVATARS_KEEP_IMAGES",
    z.enum(["current", "history"], "current or history").default("current"),
  ),
  /** Undefined: no metrics are served. 0: on a free port. */
  metricsPort: setting("METRICS_PORT", wholeNumber(0, 65_535).optional()),
  metricsHost: setting("METRICS_HOST", z.string().trim().default("127.0.0.1")),
  logLevel: setting(
    "LOG_LEVEL",
    z.enum(["trace", "debug", "info", "warn", "error", "fatal", "silent"]).optional(),
  ),
});

/**
 * Settings of where images are kept: read and checked together, by images/blobs/parse-images-setting.ts. Those of AWS_* stand in
 * for ours.
 */
export const imageSettingsSchema = z.object({
  place: setting("AVATARS_IMAGES", z.string().optional()),
  endpoint: setting("AVATARS_S3_ENDPOINT", z.string().optional()),
  region: setting("AVATARS_S3_REGION", z.string().optional()),
  accessKeyId: setting("AVATARS_S3_ACCESS_KEY_ID", z.string().optional()),
  secretAccessKey: setting("AVATARS_S3_SECRET_ACCESS_KEY", z.string().optional()),
  pathStyle: setting("AVATARS_S3_PATH_STYLE", z.string().optional()),
  awsRegion: setting("AWS_REGION", z.string().optional()),
  awsDefaultRegion: setting("AWS_DEFAULT_REGION", z.string().optional()),
  awsAccessKeyId: setting("AWS_ACCESS_KEY_ID", z.string().optional()),
  awsSecretAccessKey: setting("AWS_SECRET_ACCESS_KEY", z.string().optional()),
  awsSessionToken: setting("AWS_SESSION_TOKEN", z.string().optional()),
});

/** The settings, read and with their defaults. */
export type Settings = z.output<typeof settingsSchema>;
