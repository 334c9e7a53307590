import { expect } from "vitest";
import { callApi, type ApiAnswer, type ApiCall } from "./api-call.ts";

/** Requests of a page of the console: with its session, and what browsers and the page add. */
export interface ConsoleSession {
  readonly cookie: string;
  call(path: string, call?: ApiCall): Promise<ApiAnswer>;
}

/** The headers that the console's pages send with their writes. */
export function toPageHeaders(url: string): Record<string, string> {
  return { origin: url, "x-avatars-console": "1", "sec-fetch-site": "same-origin" };
}

/** Logs in by a key, as the page does it. */
export async function openSession(
  url: string,
  login: { key: string } | { link: string },
): Promise<ConsoleSession> {
  const answer = await callApi(url, "/console/session", {
    method: "POST",
    json: login,
    headers: toPageHeaders(url),
  });
  expect(answer.status).toBe(200);
  const cookie = readCookie(answer);
  return {
    cookie,
    call: (path, call) =>
      callApi(url, path, { ...call, headers: { ...toPageHeaders(url), cookie, ...call?.headers } }),
  };
}

/** The pair of name and value that an answer sets. */
export function readCookie({ headers }: ApiAnswer): string {
  return (headers["set-cookie"]?.[0] ?? "").split(";", 1)[0] ?? "";
}
