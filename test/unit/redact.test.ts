import { expect, test } from "vitest";

import { holdsToken, redact, stripToken } from "../../src/provider/redact.ts";

const token = "d75b3a66374942c5b3c019c698abc2067e151558acbd412345";
const awkward = 'a/b+c "d\\e%f=é';

test.each([
  ["plain", awkward],
  ["in capitals", awkward.toUpperCase()],
  ["URL-encoded", encodeURIComponent(awkward)],
  ["URL-encoded in small letters", encodeURIComponent(awkward).toLowerCase()],
  ["URL-encoded twice", encodeURIComponent(encodeURIComponent(awkward))],
  ["JSON-escaped", JSON.stringify(awkward).slice(1, -1)],
  ["JSON in JSON", JSON.stringify(JSON.stringify(awkward)).slice(3, -3)],
  ["with escaped slashes", awkward.replaceAll("/", "\\/")],
  ["with one letter as \\u0061", awkward.replace("a", "\\u0061")],
])("the token is taken out %s", (_, form) => {
  expect(stripToken(`before ${form} after ${form}`, awkward)).toBe("before *** after ***");
  expect(holdsToken(`x${form}`, awkward)).toBe(true);
});

test("an empty token takes nothing out", () => {
  expect(stripToken("a body", "")).toBe("a body");
  expect(holdsToken("a body", "")).toBe(false);
});

test("a text without the token stays as it is", () => {
  expect(stripToken('{"urlAvatar":""}', token)).toBe('{"urlAvatar":""}');
});

test.each([
  [`{"path":"/waInstance3100000001/getAvatar/${token}"}`, '{"path":"/waInstance***/getAvatar/***"}'],
  ["/waInstance1/getAvatar/somebody-elses-token?x=1 rest", "/waInstance1/getAvatar/*** rest"],
  ["\\/waInstance1\\/GETAVATAR\\/other", "\\/waInstance1\\/getAvatar/***"],
  ["waInstance1%2FgetAvatar%2fother", "waInstance1%2FgetAvatar/***"],
  ["call +79001234567 or 11001234567-1581234048@g.us", "call +*** or ***-***@g.us"],
  ["code 123456 stays", "code 123456 stays"],
  ["<html>\n<b>502</b>\tBad\u0000\u200b Gateway</html>", "502 Bad Gateway"],
  ["  a \n\n b  ", "a b"],
  ["a < b", "a b"],
])("%j becomes %j", (text, excerpt) => {
  expect(redact(text, token)).toBe(excerpt);
});

test("an excerpt has at most 120 characters and no half of a pair", () => {
  expect(redact("word ".repeat(100))).toHaveLength(120);
  expect(redact("😀".repeat(200))).not.toMatch(/\p{Cs}/u);
  expect(redact(`x${"😀".repeat(200)}`)).not.toMatch(/\p{Cs}/u);
  expect(redact("x".repeat(120))).toBe("x".repeat(120));
});

test("a token that only cleaning up would put together leaves nothing", () => {
  expect(redact("secret <b></b>  words", "secret words")).toBe("");
});
