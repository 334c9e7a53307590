import type { Processor, Queue, Worker, WorkerListener, WorkerOptions } from "bullmq";

export interface BackendOptions {
  /** Used when there is no Redis: BullMQ's PostgreSQL backend in the schema `bullmq`. */
  readonly databaseUrl: string;
  readonly redisUrl: string | undefined;
  /** Separates several installations on one Redis. */
  readonly prefix?: string | undefined;
}

/** What this folder uses of BullMQ's queue, which is typed by its backend. */
export type BullQueue = Pick<
  Queue,
  "name" | "toKey" | "addBulk" | "getWaitingCount" | "getJobCountByTypes" | "getJobs" | "getJob"
>;

/** The same of BullMQ's worker. */
export interface BullWorker<Data, Result> extends Pick<
  Worker<Data, Result>,
  "waitUntilReady" | "run" | "pause" | "cancelJob" | "disconnect" | "close"
> {
  on<Event extends keyof WorkerListener<Data, Result>>(
    event: Event,
    listener: WorkerListener<Data, Result>[Event],
  ): unknown;
}

export type BullWorkerOptions = Omit<WorkerOptions, "connection" | "prefix">;

/** Reports what fails at a place, at most once in a while. */
export type Report = (where: string) => (error: unknown) => void;

/** What each backend does in its own way. */
export interface ChosenBackend {
  readonly kind: "postgres" | "redis";
  /**
   * Opens a queue for adding, until the backend is closed.
   * @param options.isOurs others add to it too, and its settings in the backend stay as they are: false
   * @throws UserError `queue-unreachable`, `queue-not-migrated`
   */
  openProducer(queueName: string, options?: { readonly isOurs: boolean }): Promise<BullQueue>;
  /** @throws UserError `queue-unreachable`, `queue-not-migrated` */
  startWorker<Data, Result>(
    queueName: string,
    process: Processor<Data, Result>,
    options: BullWorkerOptions,
  ): Promise<BullWorker<Data, Result>>;
  /** Removes a queue's events that have the text in them: they tell results, reasons and ids of jobs. */
  forgetEvents(queue: BullQueue, text: string): Promise<void>;
}

/** BullMQ, on the backend that was chosen. */
export interface Backend extends ChosenBackend {
  /** Runs one producing call with a deadline, and swallows its failure after reporting it. True: it worked. */
  attempt(what: string, call: () => Promise<unknown>): Promise<boolean>;
  /** Closes all that was opened, last opened first. Twice is harmless. Never rejects. */
  close(): Promise<void>;
}
