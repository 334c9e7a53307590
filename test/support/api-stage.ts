import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import type { IncomingMessage } from "node:http";
import { openApp, type App, type RunningWorker } from "../../src/app/app.ts";
import { readConfig, type Config } from "../../src/config.ts";
import { apiScopes, type ApiScope } from "../../src/domain/api-key.ts";
import type { InstanceId } from "../../src/domain/instance-id.ts";
import { createApi, type ApiSettings } from "../../src/http/create-api.ts";
import type { ReadingPace } from "../../src/http/answers/cut-slow-readers.ts";
import { serveApi } from "../../src/http/serve-api.ts";
import { createCloser } from "../../src/lib/closing/closer.ts";
import { openApiPorts } from "../../src/app/api-ports.ts";
import { openBase } from "../../src/app/base.ts";
import { openImages } from "../../src/app/images.ts";
import { writeServedAt } from "../../src/store/images/installation.ts";
import { openMetrics } from "../../src/app/metrics.ts";
import { openQueues, type Queues } from "../../src/queue/queues.ts";
import type { SimulatorOptions } from "../../src/simulator/world/simulator-options.ts";
import { startSimulator, type Simulator } from "../../src/simulator/start-simulator.ts";
import { callApi, openCall, type ApiAnswer, type ApiCall } from "./api-call.ts";
import { secretKey } from "./stage.ts";
import { openTestDatabase, type TestDatabase } from "./test-database.ts";

/** What an API reported as its own fault, or Postgres's. */
export interface ApiFailure {
  readonly requestId: string;
  readonly route: string;
  readonly problem: string;
  readonly error: unknown;
}

/** What an API reported of a request. */
export interface ApiRecord {
  readonly requestId: string;
  readonly method: string;
  readonly route: string;
  readonly status: number;
  readonly tookMs: number;
  readonly key: string | undefined;
}

/** A running API, in the test's process. */
export interface TestApi {
  readonly url: string;
  readonly failures: readonly ApiFailure[];
  readonly records: readonly ApiRecord[];
  /** By default with a key that may do everything. `key: undefined` sends none. */
  call(path: string, call?: ApiCall): Promise<ApiAnswer>;
  open(path: string, call?: ApiCall): Promise<IncomingMessage>;
  stop(): Promise<void>;
}

export interface TestApiOptions {
  readonly settings?: Partial<ApiSettings>;
  /** Another way to the same database. */
  readonly databaseUrl?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Default: a free one. */
  readonly port?: number;
  /** How fast answers must be read. */
  readonly reading?: ReadingPace;
  /** Where an apiUrl may point over HTTP, beside the simulator and a port where nothing listens. */
  readonly apiHosts?: readonly string[];
}

/** Everything around an API under test: a database, GREEN-API, keys, and a worker where one is wanted. */
export interface ApiStage extends TestApi {
  readonly database: TestDatabase;
  readonly simulator: Simulator;
  /** Undefined: no images are kept. */
  readonly imageFolder: string | undefined;
  /** With all scopes, for all instances. */
  readonly key: string;
  createKey(wish?: KeyWish): Promise<string>;
  /** Served by the simulator unless told otherwise. */
  addInstance(id: string, settings?: { readonly apiUrl?: string; readonly rps?: number }): Promise<void>;
  /** Another API on the same database; stopped with the stage. */
  serve(options?: TestApiOptions): Promise<TestApi>;
  /** Once, on the stage's database. */
  startWorker(): Promise<RunningWorker>;
  close(): Promise<void>;
}

export interface KeyWish {
  readonly scopes?: readonly ApiScope[];
  readonly instanceIds?: readonly string[];
  readonly expiresInMs?: number;
}

export interface ApiStageOptions extends TestApiOptions {
  /** Images are kept, in a folder of the stage's, and the simulator serves pictures. */
  readonly images?: boolean;
  readonly simulator?: SimulatorOptions;
  /** Settings of the worker alone. */
  readonly workerEnv?: Readonly<Record<string, string>>;
}

/** Nothing is limited, and nothing is slow. */
const generous: ApiSettings = {
  version: "0.0.0",
  basePath: "",
  requestsPerMinute: 1_000_000,
  imageRequestsPerMinute: 12_000,
  maxBodyBytes: 8 * 1024 * 1024,
  wholeMs: 20_000,
  idleMs: 20_000,
  leastBytesPerSecond: 0,
  watchMs: 3_600_000,
  trustedProxies: [],
};

const appOptions = {
  defaultLogLevel: "silent",
  maxConnections: 2,
  migrate: false,
  signal: new AbortController().signal,
} as const;

export async function openApiStage({
  simulator: simulated,
  images = false,
  workerEnv,
  ...own
}: ApiStageOptions = {}): Promise<ApiStage> {
  const closer = createCloser((_, error) => {
    throw error;
  });
  const database = await openTestDatabase();
  closer.add("database", () => database.close());
  const simulator = await startSimulator({
    latencyMs: 5,
    tailShare: 0,
    troubledShare: 0,
    requestsPerSecond: 1_000,
    ...(images && { pictures: true, pictureLatencyMs: 0 }),
    ...simulated,
  });
  closer.add("simulator", () => simulator.close());
  const imageFolder = images ? await mkdtemp(path.join(tmpdir(), "contact-avatars-images-")) : undefined;
  if (imageFolder !== undefined)
    closer.add("images", () => rm(imageFolder, { recursive: true, force: true }));
  const toConfig = ({ databaseUrl = database.url, env, apiHosts = [] }: TestApiOptions): Config =>
    readConfig({
      DATABASE_URL: databaseUrl,
      AVATARS_SECRET_KEY: secretKey,
      AVATARS_IMAGES: imageFolder ?? "off",
      AVATARS_IMAGE_HOSTS: new URL(simulator.url).host,
      AVATARS_API_HOSTS: [new URL(simulator.url).host, "127.0.0.1:9", ...apiHosts].join(),
      AVATARS_REQUESTS_PER_SECOND: "900",
      AVATARS_RETRY_BASE_MS: "20",
      AVATARS_RETRY_MAX_MS: "100",
      ...env,
    });
  const app = await openApp(toConfig(workerEnv ? { env: workerEnv } : {}), appOptions);
  closer.add("app", () => app.close());
  const createKey = createKeyMaker(app);
  const key = await createKey();

  const serve = async (options: TestApiOptions = {}): Promise<TestApi> => {
    const api = await openTestApi(toConfig(options), key, options);
    closer.add("API", () => api.stop());
    return api;
  };
  const first = await serve(own);

  return {
    ...first,
    database,
    simulator,
    imageFolder,
    key,
    createKey,
    serve,
    async addInstance(id, { apiUrl = simulator.url, rps } = {}) {
      await app.instances.put(
        {
          id: id as InstanceId,
          apiUrl,
          token: "anything",
          ...(rps !== undefined && { requestsPerSecond: rps }),
        },
        app.operator,
      );
    },
    startWorker: () => app.startWorker(),
    close: closer.close,
  };
}

function createKeyMaker({ apiKeys, operator }: App) {
  return async ({ scopes = apiScopes, instanceIds, expiresInMs }: KeyWish = {}): Promise<string> => {
    const ids = instanceIds as readonly InstanceId[] | undefined;
    const { token } = await apiKeys.create({ scopes, instanceIds: ids, expiresInMs }, operator);
    return token;
  };
}

/** As api.ts does it, with other settings, and with events that the test reads. */
async function openTestApi(
  config: Config,
  key: string,
  { settings = {}, reading, port = 0 }: TestApiOptions,
): Promise<TestApi> {
  const base = await openBase(config, appOptions);
  const failures: ApiFailure[] = [];
  const records: ApiRecord[] = [];
  let opening: Promise<Queues> | undefined;
  const openAll = async () => {
    const { databaseUrl, events } = base;
    const queues = await openQueues({ databaseUrl, redisUrl: config.redisUrl, simulated: false }, events);
    base.closer.add("queues", () => queues.close());
    return queues;
  };
  const getQueues = () => {
    opening ??= openAll().catch((error: unknown) => {
      opening = undefined;
      throw error;
    });
    return opening;
  };
  const wake = async (id: InstanceId) => {
    const queues = await getQueues().catch(() => undefined);
    await queues?.wakeInstances([id]);
  };
  const images = await openImages(base);
  await writeServedAt(base.database.pool, {
    servesImages: images !== undefined,
    publicUrl: config.publicUrl ?? null,
  });
  const ports = await openApiPorts(base, {
    wake: (id) => void wake(id),
    getQueues,
    metrics: openMetrics(base),
    images,
  });
  const api = await createApi(
    ports,
    { ...generous, ...settings },
    {
      apiAnswered: (record) => void records.push(record),
      apiFailed: (fields, error) => void failures.push({ ...fields, error }),
    },
  );
  const server = await serveApi({
    api,
    host: "127.0.0.1",
    port,
    onError: () => undefined,
    ...(reading && { reading }),
  });
  base.closer.add("API", () => server.stop(2_000));
  return {
    url: server.url,
    failures,
    records,
    call: (path, call) => callApi(server.url, path, { key, ...call }),
    open: (path, call) => openCall(server.url, path, { key, ...call }),
    stop: base.closer.close,
  };
}
