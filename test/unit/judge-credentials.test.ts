import { expect, test } from "vitest";
import { judgeApiChange, judgeOperatorChange } from "../../src/domain/judge-credentials.ts";
import { toOrigin } from "../../src/lib/api-url.ts";

const before = { apiUrl: "https://7103.api.greenapi.com", sealedToken: "stored" };
const ports = {
  toOrigin,
  mayPointTo: (apiUrl: string) => !apiUrl.includes("10.0.0.7"),
  seal: (token: string, apiUrl: string) => `${token} for ${toOrigin(apiUrl)}`,
  sealAnew: (_: unknown, apiUrl: string) => `stored anew for ${toOrigin(apiUrl)}`,
};
const anew = "stored anew for https://7103.api.greenapi.com";
const own = "https://own.example";

test.each([
  ["nothing", {}, { kind: "go", sealedToken: anew, renews: false }],
  ["the same URL", { apiUrl: before.apiUrl }, { kind: "go", sealedToken: anew, renews: false }],
  ["another path", { apiUrl: `${before.apiUrl}/v3` }, { kind: "go", sealedToken: anew, renews: true }],
  ["a token", { token: "t" }, { kind: "go", sealedToken: `t for ${before.apiUrl}`, renews: true }],
  ["another host", { apiUrl: own }, { kind: "refused", refusal: "needs-token" }],
  [
    "another scheme",
    { apiUrl: before.apiUrl.replace("https", "http") },
    { kind: "refused", refusal: "needs-token" },
  ],
  ["another port", { apiUrl: `${before.apiUrl}:8443` }, { kind: "refused", refusal: "needs-token" }],
  [
    "another host and a token",
    { apiUrl: own, token: "t" },
    { kind: "go", sealedToken: `t for ${own}`, renews: true },
  ],
  [
    "a host not trusted",
    { apiUrl: "http://10.0.0.7", token: "t" },
    { kind: "refused", refusal: "untrusted-host" },
  ],
])("over HTTP, a change of %s", (_, wish, judgement) => {
  expect(judgeApiChange(before, wish, ports)).toEqual(judgement);
});

test("a host that the operator chose stays as it is, and no other path is asked of it", () => {
  const chosen = { ...before, apiUrl: "http://10.0.0.7" };
  expect(judgeApiChange(chosen, { apiUrl: chosen.apiUrl, token: "t" }, ports)).toMatchObject({ kind: "go" });
  expect(judgeApiChange(chosen, { apiUrl: `${chosen.apiUrl}/other` }, ports)).toEqual({
    kind: "refused",
    refusal: "untrusted-host",
  });
});

test("on the command line, a token that cannot be read goes nowhere", () => {
  const unreadable = { ...ports, sealAnew: () => undefined };
  expect(judgeOperatorChange(before, { apiUrl: own }, unreadable)).toEqual({
    kind: "refused",
    refusal: "token-unreadable",
  });
  expect(judgeOperatorChange(before, { apiUrl: `${before.apiUrl}/v3` }, unreadable)).toMatchObject({
    kind: "go",
  });
});

test.each([
  [undefined, undefined, false],
  [before.apiUrl, undefined, false],
  [`${before.apiUrl}/v3`, undefined, true],
  ["http://10.0.0.7:8080", "stored anew for http://10.0.0.7:8080", true],
])("on the command line, the token goes along to %s", (apiUrl, sealedToken, renews) => {
  expect(judgeOperatorChange(before, { apiUrl }, ports)).toEqual({ kind: "go", sealedToken, renews });
});
