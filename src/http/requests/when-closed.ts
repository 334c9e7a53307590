import type { ServerResponse } from "node:http";

/** Calls back when the answer has been sent, or its reader has gone; at once where that has happened already. */
export function whenClosed(response: ServerResponse, callback: () => void): void {
  // "close" does not come a second time.
  if (response.destroyed || response.closed) callback();
  else response.once("close", callback);
}
