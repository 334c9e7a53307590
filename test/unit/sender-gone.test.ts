import { expect, test } from "vitest";
import { isOfGoneSender, SenderGone } from "../../src/http/requests/sender-gone.ts";
import { UserError } from "../../src/lib/errors.ts";

const aborted = new DOMException("This operation was aborted", "AbortError");

test.each([
  ["itself", new SenderGone(), true],
  ["what was aborted with it", aborted, true],
  [
    "a stream that was closed too soon",
    Object.assign(new Error("x"), { code: "ERR_STREAM_PREMATURE_CLOSE" }),
    true,
  ],
  [
    "what has it as its cause",
    new UserError("unreadable", "x", { cause: new Error("y", { cause: aborted }) }),
    true,
  ],
  ["a fault of ours", new TypeError("x"), false],
  ["a connection to Postgres that was lost", Object.assign(new Error("x"), { code: "ECONNRESET" }), false],
  ["no error at all", "AbortError", false],
])("a sender who has gone is told from %s", (_what, error, isGone) => {
  expect(isOfGoneSender(error)).toBe(isGone);
});

test("a circle of causes has an end", () => {
  const error = new Error("x");
  error.cause = error;
  expect(isOfGoneSender(error)).toBe(false);
});
