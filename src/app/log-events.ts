import type { ContactListReport } from "../domain/lookup/contact-list-report.ts";
import type { StateReport } from "../domain/lookup/state-report.ts";
import type { ApiEvents } from "../http/context/api-context.ts";
import { instanceTokenForm } from "../domain/instance-token.ts";
import { assertNever } from "../lib/errors.ts";
import type { WorkerEvents } from "../worker/create-worker.ts";
import type { ResyncEvents } from "../worker/resync/resync.ts";
import type { QueueEvents } from "../queue/queue-events.ts";
import type { RemovedRows } from "../store/retention/remove-in-steps.ts";
import type { ImageTakerEvents } from "../images/take/create-image-taker.ts";
import type { SettledCounts } from "../store/images/settle-images.ts";
import type { TryEvents } from "../webhooks/dispatcher-ports.ts";
import { undefinedColumn, undefinedFunction, undefinedTable } from "../store/postgres/sqlstate.ts";
import { toErrorFields, type Logger } from "../lib/logger.ts";

/** Every event that is logged: a fixed message, fields for the rest, chat ids as a keyed hash only. */
export interface LogEvents
  extends WorkerEvents, QueueEvents, ApiEvents, ResyncEvents, ImageTakerEvents, Omit<TryEvents, "failed"> {
  /** No images are kept, and no setting says that none shall be. */
  imagesOff(): void;
  /** What the store of images has to say at its opening. */
  imagesRemarked(fields: { text: string }): void;
  /** Rows were written for tries to take images. */
  imagesSettled(counts: SettledCounts): void;
  /** Images that no contact shows any more are gone, row and bytes. */
  imagesRemoved(fields: { images: number }): void;
  /** The bytes of an image are gone, which so many contacts show: it is wanted again. */
  imageLost(fields: { contacts: number }): void;
  /** A size was made and served, and could not be kept. */
  imageSizeNotKept(error: unknown): void;
  contactsAsked(fields: { instanceId: string; report: ContactListReport }): void;
  sourceRead(fields: {
    added: number;
    gone: number;
    rejected: number;
    rejectedRows: readonly number[];
  }): void;
  /** The text is ours: it may name the source's host and what Postgres said of the query. */
  sourceFailed(fields: { code: string; text: string; willRetry: boolean }): void;
  /** Contacts were free again, whose lookups a worker had put aside (`savesSetAside`). */
  asideSaved(fields: { records: number }): void;
  /** Postgres never takes this one: the contact is asked again. */
  asideRefused(fields: { contactId: number }, error: unknown): void;
  connectionLost(error: Error): void;
  workerStarted(fields: { backend: string; runsPerProcess: number; maxAttempts: number }): void;
  workerStopping(fields: { callsInFlight: number; graceMs: number }): void;
  workerStopped(): void;
  /** The token of an instance is of a form that is not taken any more. */
  tokenUnusual(fields: { instanceId: string }): void;
  apiServed(fields: { url: string; host: string; port: number }): void;
  apiStopping(fields: { graceMs: number }): void;
  apiStopped(): void;
  apiConnectionFailed(error: Error): void;
  metricsServed(fields: { host: string; port: number }): void;
  metricsFailed(error: Error): void;
  oldRowsRemoved(removed: RemovedRows): void;
  runEnded(fields: { instanceId: string; end: string }): void;
  closeFailed(name: string, error: unknown): void;
  embedded(event: string, fields: Record<string, unknown>): void;
}

/** A statement names what the database does not have: the database was migrated since this process began, and no time heals that. */
const unknownNames: ReadonlySet<string> = new Set([undefinedTable, undefinedColumn, undefinedFunction]);

/** Characters of a hash: enough to tell chats apart. */
const loggedHashLength = 12;

/** @param hashChat a keyed hash (lib/secrets/chat-hash.ts), of which a part is logged */
export function createLogEvents(logger: Logger, hashChat: (chatId: string) => string): LogEvents {
  return {
    ...createCallLog(logger, hashChat),
    ...createNightLog(logger),
    ...createServiceLog(logger),
    ...createApiLog(logger),
    ...createImageLog(logger),
    ...createWebhookLog(logger),
    asideSaved: (fields) => logger.info(fields, "lookups saved that were put aside"),
    asideRefused: ({ contactId }, error) =>
      logger.error({ contactId, ...toErrorFields(error) }, "lookup that was put aside cannot be saved"),
    ledgerFailed(fields, error) {
      const told = { ...fields, ...toErrorFields(error) };
      if (unknownNames.has(told.code)) logger.error(told, "ledger is of another version: stop this process");
      else logger.warn(told, "ledger failed");
    },
    queueFailed: (fields) => logger.warn(fields, "queue failed"),
    requestRejected: (fields) => logger.warn(fields, "request rejected"),
    contactsAsked: ({ instanceId, report }) =>
      logger.info({ instanceId, ...toReportFields(report) }, "instance contacts asked"),
    connectionLost: (error) => logger.warn(toErrorFields(error), "database connection lost"),
    oldRowsRemoved: (removed) => logger.info(removed, "old rows removed"),
    closeFailed: (name, error) => logger.warn({ name, ...toErrorFields(error) }, "close failed"),
    embedded: (event, fields) => logger.debug(fields, event),
  };
}

/** Calls to the provider, what is saved of them, and the state of their instances. */
function createCallLog(
  logger: Logger,
  hashChat: (chatId: string) => string,
): Omit<WorkerEvents, "ledgerFailed"> {
  return {
    lookedUp({ instanceId, chatId, lookup }) {
      if (!logger.isLevelEnabled("debug")) return;
      const { kind, scope } = lookup.outcome;
      logger.debug(
        {
          instanceId,
          chat: hashChat(chatId).slice(0, loggedHashLength),
          outcome: kind,
          scope,
          tookMs: Math.round(lookup.tookMs),
        },
        "looked up",
      );
    },
    saved: (records) => logger.debug({ records: records.length }, "lookups saved"),
    savesSetAside: (fields) => logger.info(fields, "lookups put aside"),
    saveDelayed: (fields, error) => logger.warn({ ...fields, ...toErrorFields(error) }, "saving delayed"),
    saveRefused: ({ contactId, decision }, error) =>
      logger.error({ contactId, decision: decision.kind, ...toErrorFields(error) }, "lookup cannot be saved"),
    instanceHeld: ({ instanceId, hold, until }) =>
      logger.warn({ instanceId, reason: hold.reason, text: hold.text, until }, "instance held"),
    instanceStillHeld: (fields) => logger.info(fields, "instance still held"),
    instanceChecked: ({ instanceId, report }) =>
      logger.info({ instanceId, ...toReportFields(report) }, "instance state asked"),
    instanceThrottled({ marginMs, callsAllowed, isSlower, ...fields }) {
      const pace = { marginMs: Math.round(marginMs), callsAllowed: Math.round(callsAllowed * 100) / 100 };
      // A lone refusal is jitter.
      const level = isSlower || fields.until ? "warn" : "debug";
      logger[level]({ ...fields, ...pace }, "instance throttled");
    },
    instanceRecovered: (fields) => logger.info(fields, "instance works again"),
  };
}

/** Nights, and the source query that they begin with. */
function createNightLog(
  logger: Logger,
): Omit<ResyncEvents, "ledgerFailed"> & Pick<LogEvents, "sourceRead" | "sourceFailed"> {
  return {
    nightOpened: (fields) => logger.info(fields, "night opened"),
    nightPrepared: (fields) => logger.info(fields, "night prepared"),
    sourceRead: (fields) => logger.info(fields, "source read"),
    sourceFailed: (fields) => logger.warn(fields, "source failed"),
    resyncEnded: (fields) => logger.info(fields, "resync ended"),
  };
}

/** The worker of this process, and the port of its metrics. */
function createServiceLog(
  logger: Logger,
): Pick<
  LogEvents,
  | "workerStarted"
  | "workerStopping"
  | "workerStopped"
  | "tokenUnusual"
  | "runEnded"
  | "metricsServed"
  | "metricsFailed"
> {
  return {
    workerStarted: (fields) => logger.info(fields, "worker started"),
    workerStopping: (fields) => logger.info(fields, "worker stopping"),
    workerStopped: () => logger.info("worker stopped"),
    tokenUnusual: (fields) =>
      logger.warn(
        { ...fields, expected: instanceTokenForm },
        "instance has a token of a form that is not taken any more: it is used as it is, and could not be added again",
      ),
    runEnded: (fields) => logger.debug(fields, "instance run ended"),
    metricsServed: (fields) => logger.info(fields, "metrics served"),
    metricsFailed: (error) => logger.warn(toErrorFields(error), "metrics connection failed"),
  };
}

/** The HTTP API and each of its answers. */
function createApiLog(
  logger: Logger,
): ApiEvents & Pick<LogEvents, "apiServed" | "apiStopping" | "apiStopped" | "apiConnectionFailed"> {
  return {
    apiServed: (fields) => logger.info(fields, "api served"),
    apiStopping: (fields) => logger.info(fields, "api stopping"),
    apiStopped: () => logger.info("api stopped"),
    apiAnswered: (fields) => logger[toAnswerLevel(fields)](fields, "api answered"),
    apiFailed(fields, error) {
      const level = fields.problem === "unavailable" ? "warn" : "error";
      logger[level]({ ...fields, ...toErrorFields(error) }, "api failed");
    },
    apiConnectionFailed: (error) => logger.warn(toErrorFields(error), "api connection failed"),
  };
}

/** Probes ask these every few seconds, and only to see whether the service works. */
const probedRoutes = /^(\/v1)?\/(healthz|readyz|metrics)$/;

function toAnswerLevel({ route, status }: { route: string; status: number }): "debug" | "info" | "warn" {
  if (probedRoutes.test(route)) return "debug";
  return status >= 500 ? "warn" : "info";
}

/** Only the kind of a refusal is told: the refusal may name chats of others. */
function toReportFields(report: StateReport | ContactListReport): Record<string, string | number> {
  switch (report.kind) {
    case "state":
      return { state: report.state, verdict: report.verdict };
    case "contacts":
      return { contacts: report.ids.length };
    case "refused":
      return { refused: report.outcome.kind };
    case "unanswered":
      return { unanswered: report.code };
    case "throttled":
      return { refused: report.kind };
    default:
      return assertNever(report);
  }
}

/** Images of avatars, and the store that keeps them. */
function createImageLog(logger: Logger) {
  return {
    imageTried: (fields) => logger.debug(fields, "image tried"),
    imageDelayed: (fields, error) => logger.warn({ ...fields, ...toErrorFields(error) }, "images delayed"),
    imagesOff: () => logger.info("images are not kept: AVATARS_IMAGES says where to keep them"),
    imagesRemarked: (fields) => logger.warn(fields, "images"),
    imagesSettled: (counts) => logger.debug(counts, "images settled"),
    imagesRemoved: (fields) => logger.info(fields, "images removed"),
    imageLost: (fields) => logger.warn(fields, "bytes of an image lost"),
    imageSizeNotKept: (error) => logger.warn(toErrorFields(error), "size of an image not kept"),
  } satisfies Partial<LogEvents>;
}

/** What endpoints were told. */
function createWebhookLog(logger: Logger) {
  return {
    webhookTried: (fields) => logger.debug(fields, "webhook tried"),
    webhookGivenUp: (fields) => logger.warn(fields, "webhook event given up: all its tries were in vain"),
    webhookDisabled: (fields) =>
      logger.warn(fields, "webhook disabled: turn it on again with avatars webhook enable"),
    webhookUnreadable: (fields) =>
      logger.error(
        fields,
        "webhook not sent to: AVATARS_SECRET_KEY does not open its secret; start with the key it was stored with, or rotate it",
      ),
  } satisfies Partial<LogEvents>;
}
