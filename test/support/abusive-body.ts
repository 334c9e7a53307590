import fc from "fast-check";
import { gzipSync } from "node:zlib";
import type { ApiDocument, Operation } from "./api-document.ts";
import { nastyString, nastyValue, spoil, toJson } from "./nasty-values.ts";
import { toText, toValue, type Known } from "./schema-values.ts";

/** A body, with the headers that tell what it is. */
export interface AbusiveBody {
  readonly bytes: Buffer | undefined;
  readonly headers: Readonly<Record<string, string>>;
}

const nastyTypes = [
  "application/json",
  "application/json; charset=latin1",
  "application/json;charset=utf-16",
  "application/JSON",
  "application/problem+json",
  "application/xml",
  "text/plain",
  "text/csv",
  "text/csv; charset=iso-8859-1",
  "application/x-ndjson",
  "application/x-www-form-urlencoded",
  "multipart/form-data; boundary=x",
  "application/octet-stream",
  "garbage",
  ";",
  "",
  "a/b/c",
];

const rawBytes = fc.oneof(
  fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
  fc.constantFrom(
    Buffer.alloc(0),
    Buffer.from("{"),
    Buffer.from("null"),
    Buffer.from('{"instanceId":'),
    Buffer.from([0xff, 0xfe, 0x7b, 0x00]),
    Buffer.from("ef bb bf".replaceAll(" ", ""), "hex"),
    gzipSync('{"instanceId":"1"}'),
    gzipSync("79001234567\n").subarray(0, 20),
    Buffer.from("504b030414000000", "hex"),
  ),
);

/** Bodies for one operation. @param malice 0: what is right; the more, the more often not */
export function toBody(
  document: ApiDocument,
  { bodies, method }: Operation,
  known: Known,
  malice: number,
): fc.Arbitrary<AbusiveBody> {
  const none = fc.constant<AbusiveBody>({ bytes: undefined, headers: {} });
  const anything = withType(rawBytes, nastyTypes);
  if (method === "GET") return none;
  if (Object.keys(bodies).length === 0) {
    return fc.oneof({ weight: 4, arbitrary: none }, { weight: malice, arbitrary: anything });
  }
  const options: fc.WeightedArbitrary<AbusiveBody>[] = [
    { weight: malice, arbitrary: anything },
    { weight: malice, arbitrary: none },
  ];
  const json = bodies["application/json"];
  if (json) {
    const text = toJsonText(toValue(document, json.schema, "", known), malice);
    options.push({ weight: 8, arbitrary: withType(text, ["application/json"]) });
    options.push({ weight: malice, arbitrary: withType(text, nastyTypes) });
  }
  const streams = Object.keys(bodies).filter((type) => type !== "application/json");
  if (streams.length > 0) {
    options.push({ weight: 6, arbitrary: withType(toLines(document, known, malice), streams) });
  }
  return fc.oneof(...options);
}

function withType(bytes: fc.Arbitrary<Buffer>, types: readonly string[]): fc.Arbitrary<AbusiveBody> {
  return fc.record({
    bytes,
    headers: fc.constantFrom(...types).map((type) => ({ "content-type": type })),
  });
}

function toUtf8(value: unknown): Buffer {
  return Buffer.from(toJson(value));
}

function toJsonText(right: fc.Arbitrary<unknown>, malice: number): fc.Arbitrary<Buffer> {
  return fc.oneof(
    { weight: 4, arbitrary: right.map(toUtf8) },
    { weight: 4 * malice, arbitrary: right.chain(spoil).map(toUtf8) },
    { weight: malice, arbitrary: right.map((value) => Buffer.from(toJson(value), "latin1")) },
    { weight: malice, arbitrary: right.map((value) => Buffer.from(toJson(value), "utf16le")) },
  );
}

/** Lines as a stream has them, good and bad, and broken anywhere. */
function toLines(document: ApiDocument, known: Known, malice: number): fc.Arbitrary<Buffer> {
  const chat = toText(toValue(document, { type: "string" }, "chatIds", known));
  const line = fc.oneof(
    { weight: 4, arbitrary: chat },
    { weight: 4, arbitrary: chat.map((chatId) => JSON.stringify({ chatId, external_ref: "é" })) },
    { weight: 2, arbitrary: chat.map((chatId) => `"${chatId}",ref`) },
    { weight: malice, arbitrary: nastyString },
    { weight: malice, arbitrary: nastyValue.map((value) => toJson({ chatId: value })) },
  );
  const header = fc.constantFrom("", "chat_id\n", "chat_id,external_ref\n", "\ufeffphone;name\n", "a,b\n");
  const text = fc
    .tuple(header, fc.array(line, { maxLength: 12 }), fc.constantFrom("\n", "\r\n", "\r"))
    .map(([head, lines, end]) => head + lines.join(end));
  const cutAt = fc.nat(400);
  return fc.oneof(
    { weight: 4, arbitrary: text.map((given) => Buffer.from(given)) },
    { weight: 1, arbitrary: text.map((given) => Buffer.from(`\ufeff${given}`, "utf16le")) },
    { weight: 1, arbitrary: text.map((given) => gzipSync(given)) },
    { weight: malice, arbitrary: text.map((given) => Buffer.from(given, "latin1")) },
    {
      weight: malice,
      arbitrary: fc.tuple(text, cutAt).map(([given, at]) => gzipSync(given).subarray(0, at)),
    },
  );
}
