import type { LeaseRefusal } from "../../domain/ledger/lease.ts";

/**
 * Why a run ended. `idle`: nothing is due now; `lost`: the lease could not be renewed in time, or belongs to another process. Only
 * after `sliced` does work surely remain.
 */
export type RunEnd = LeaseRefusal | "idle" | "sliced" | "stopped" | "lost";
