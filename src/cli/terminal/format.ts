import { formatDuration } from "../../lib/duration.ts";

/** `9.8`, `10`, `0.25`. */
export function formatRate(perSecond: number): string {
  return String(Number(perSecond.toFixed(perSecond < 1 ? 2 : 1)));
}

/** `0.05 %`; nothing where there were no calls. */
export function formatShare(share: number | undefined): string {
  return share === undefined ? "" : `${Number((100 * share).toFixed(2))} %`;
}

export function formatAge(since: Date | undefined): string {
  return since === undefined ? "" : formatDuration(Date.now() - since.getTime());
}

/** Nothing where no contact waits, or where work does not go on. */
export function formatEta(etaMs: number | undefined): string {
  return etaMs ? formatDuration(etaMs) : "";
}

/** A moment, and how far ahead it lies. */
export function formatMoment(at: Date): string {
  const aheadMs = at.getTime() - Date.now();
  return aheadMs > 0 ? `${at.toISOString()} (in ${formatDuration(aheadMs)})` : "now";
}
