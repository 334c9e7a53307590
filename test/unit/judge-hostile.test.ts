import { expect, test } from "vitest";
import { judgeContactsReply } from "../../src/provider/judge-contacts-reply.ts";
import { judgeReply } from "../../src/provider/judge-reply.ts";
import { judgeStateReply } from "../../src/provider/judge-state-reply.ts";

const token = "d75b3a66374942c5b3c019c698abc2067e151558acbd412345";
const now = new Date("2026-11-28T00:00:00Z");
/** A body may be eight times as long; of this one a quadratic look would take minutes already. */
const maxBytes = 256 * 1024;

const fill = (piece: string) => piece.repeat(Math.ceil(maxBytes / piece.length)).slice(0, maxBytes);
const asMessage = (text: string) => `{"message":"${text.slice(0, -20)}"}`;
const asTexts = (piece: string) =>
  JSON.stringify({ errors: Array.from({ length: 20 }, () => piece.repeat(Math.ceil(2_000 / piece.length))) });

/** What made a pattern read a text again and again, or would. */
const bodies: readonly (readonly [name: string, body: string])[] = [
  ["digits", fill("7")],
  ["digits in a message", asMessage(fill("7"))],
  ["ids without a server", fill("79001234567@")],
  ["ids of a server", asMessage(fill("79001234567@c.us, "))],
  ["at signs", fill("@")],
  ["dashes", fill("-")],
  ["validations that failed", asTexts("validation failed ")],
  ["accounts", asTexts("account ")],
  ["accounts that have been", fill("account has been ")],
  ["tags that open", fill("<")],
  ["a tag that does not end", `<${fill("a")}`],
  ["the path", fill("/getAvatar")],
  ["the path and backslashes", fill("/getAvatar\\\\\\\\")],
  ["blanks", fill(" \t")],
  ["blanks in a url", `{"urlAvatar":"${fill(" ").slice(40)}x"}`],
  ["the start of a picture", `{"urlAvatar":"data:image/png${fill(";a=b").slice(60)}"}`],
  ["a picture that ends badly", `{"urlAvatar":"data:image/png;base64,${fill("A").slice(60)}!"}`],
  ["half escapes", fill("\\u00")],
  ["backslashes", fill("\\")],
  ["percent signs", fill("%25")],
  ["near misses of the token", fill(token.slice(0, -1))],
  ["lists in lists", fill("[")],
  ["messages in messages", fill('{"message":')],
  ["zero-width blanks", fill("\u200b")],
];

// No clock is asked: with any of the faults that these bodies were made for, the test would not end in its time.
test.each(bodies)("a long body is judged however hostile it is: %s", (_, body) => {
  for (const status of [200, 400, 466, 500]) {
    const reply = { status, headers: {}, body };
    expect(judgeReply(reply, token, now)).toHaveProperty("kind");
    expect(judgeStateReply(reply, token, now)).toHaveProperty("kind");
    expect(judgeContactsReply(reply, token, now)).toHaveProperty("kind");
  }
});

test.each([
  ["keys", `{${Array.from({ length: 20_000 }, (_, at) => `"k${at}":0`).join(",")},"urlAvatar":""}`],
  ["lists in lists", `{"urlAvatar":"","a":${"[".repeat(40)}${"]".repeat(40)}}`],
])("a body of more %s than any answer has is none, whatever it says", (_, body) => {
  const reply = { status: 200, headers: {}, body };
  expect(judgeReply(reply, token, now)).toMatchObject({ kind: "unclear" });
  expect(judgeReply({ ...reply, body: '{"urlAvatar":""}' }, token, now)).toMatchObject({ kind: "hidden" });
  const state = { ...reply, body: body.replace('"urlAvatar":""', '"stateInstance":"authorized"') };
  expect(judgeStateReply(state, token, now)).toMatchObject({ kind: "unanswered" });
});
