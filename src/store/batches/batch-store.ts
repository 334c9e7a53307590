import type { Page, PageRequest } from "../../domain/page.ts";
import type { BatchProgress } from "../../domain/views/batch-progress.ts";
import type { BatchFilter, BatchItem, BatchReport, BatchSummary } from "../../domain/views/batch.ts";
import type { ResultFilter, ResultRow } from "../../domain/views/result-row.ts";
import type { Database } from "../postgres/database.ts";
import { findAnswered } from "./find-answered.ts";
import { findBatchProgress } from "./find-batch-progress.ts";
import { findBatchSummary } from "./find-batch-summary.ts";
import { createFindBatch } from "./find-batch.ts";
import { listBatchItems } from "./list-batch-items.ts";
import { listBatches } from "./list-batches.ts";
import { readResults } from "./read-results.ts";

/** Batches as they are stored. Ids are taken as they come: one that is no id is that of no batch. */
export interface BatchStore {
  /** The newest first. @throws UserError `invalid-cursor` */
  list(filter: BatchFilter, page: PageRequest): Promise<Page<BatchSummary>>;
  /** What needs no counting. */
  findSummary(batchId: string): Promise<BatchSummary | undefined>;
  /** Counted a moment ago; see {@link createFindBatch}. */
  find(batchId: string): Promise<BatchReport | undefined>;
  /** Counted now. */
  findProgress(batchId: string): Promise<BatchProgress | undefined>;
  /**
   * In the order in which the contacts came to be known. A page may be short, or empty, and not the last.
   * @throws UserError `invalid-cursor`
   */
  listItems(
    batchId: string,
    statuses: readonly BatchItem["status"][] | undefined,
    page: PageRequest,
  ): Promise<Page<BatchItem>>;
  /** In a stable order. @throws TryAgainError where the batch is not there */
  readResults(filter: ResultFilter): AsyncGenerator<ResultRow>;
  /** Which of these batches, each of one contact, need not be waited for any longer. */
  findAnswered(
    tickets: readonly { readonly batchId: string; readonly contactId: number }[],
  ): Promise<string[]>;
}

/**
 * @param quick for what takes a few probes
 * @param lasting for what counts or reads a whole batch
 * @param defaultRate calls per second of instances that set none
 */
export function createBatchStore(
  { pool: quick }: Pick<Database, "pool">,
  { pool: lasting }: Pick<Database, "pool">,
  defaultRate: number,
): BatchStore {
  return {
    list: (filter, page) => listBatches(quick, filter, page),
    findSummary: (batchId) => findBatchSummary(quick, batchId),
    find: createFindBatch(lasting, { defaultRate, now: performance.now.bind(performance) }),
    findProgress: (batchId) => findBatchProgress(lasting, batchId),
    listItems: (batchId, statuses, page) => listBatchItems(quick, batchId, statuses, page),
    readResults: (filter) => readResults(lasting, filter),
    findAnswered: (tickets) => findAnswered(quick, tickets),
  };
}
