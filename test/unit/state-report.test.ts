import { expect, test } from "vitest";
import { judgeState } from "../../src/domain/lookup/state-report.ts";

test.each([
  ["authorized", "works"],
  ["yellowCard", "works"],
  ["suspended", "works"],
  ["starting", "waits"],
  ["sleepMode", "waits"],
  ["notAuthorized", "needs-person"],
  ["blocked", "needs-person"],
  ["pendingCode", "needs-person"],
  ["pendingPassword", "needs-person"],
  ["NOTAUTHORIZED", "needs-person"],
  ["pendingPasskey", "unknown"],
  ["constructor", "unknown"],
  ["", "unknown"],
])("the state %j: %s", (state, verdict) => {
  expect(judgeState(state)).toBe(verdict);
});
