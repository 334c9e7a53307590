import type { ServerResponse } from "node:http";
import type { ApiContext } from "../context/api-context.ts";
import { whenClosed } from "./when-closed.ts";

/** Aborted when the reader leaves, when the stream has lasted long enough, or when the server stops. */
export function toWatchSignal(
  { closing, watchMs }: Pick<ApiContext<unknown>, "closing" | "watchMs">,
  response: ServerResponse,
  release: () => void,
): AbortSignal {
  const over = new AbortController();
  // Readers who do not read are noticed in hours, as few events come: each is asked to come again instead.
  const timer = setTimeout(() => over.abort(), watchMs);
  whenClosed(response, () => {
    clearTimeout(timer);
    release();
    over.abort();
  });
  return AbortSignal.any([over.signal, closing]);
}
