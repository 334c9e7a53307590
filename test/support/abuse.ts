import fc from "fast-check";
import { toBody } from "./abusive-body.ts";
import type { ApiDocument, Operation, Parameter } from "./api-document.ts";
import { nastyString } from "./nasty-values.ts";
import { toText, toValue, type Known } from "./schema-values.ts";

/** A request as an attacker, or a bad program, might send it. */
export interface AbusiveRequest {
  readonly method: string;
  /** Encoded; it may be encoded wrongly. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string | readonly string[]>>;
  readonly body: Buffer | undefined;
}

/**
 * Makes requests for one operation from what the document says of it: a third as they should be, a third with a fault or two,
 * and a third with many.
 */
export function abuse(
  document: ApiDocument,
  operation: Operation,
  known: Known,
): fc.Arbitrary<AbusiveRequest> {
  return fc.constantFrom(0, 1, 4).chain((malice) => {
    const toParameters = (place: Parameter["in"]) =>
      operation.parameters
        .filter((parameter) => parameter.in === place)
        .map(({ name, schema, required = false }) => ({
          name,
          isRequired: required,
          isKnown: name in known,
          text: fc.oneof(
            { weight: 20, arbitrary: toText(toValue(document, schema, name, known)) },
            { weight: malice, arbitrary: nastyString },
          ),
        }));
    return fc
      .record({
        path: toPath(operation.path, toParameters("path"), malice),
        query: toQuery(toParameters("query"), malice),
        headers: toHeaders(toParameters("header"), malice),
        body: toBody(document, operation, known, malice),
      })
      .map(({ path, query, headers, body }) => ({
        method: operation.method,
        path: query === "" ? path : `${path}?${query}`,
        headers: { ...headers, ...body.headers },
        body: body.bytes,
      }));
  });
}

interface TextParameter {
  readonly name: string;
  readonly text: fc.Arbitrary<string>;
  /** There are values that exist. */
  readonly isKnown: boolean;
  readonly isRequired: boolean;
}

function toPath(path: string, parameters: readonly TextParameter[], malice: number): fc.Arbitrary<string> {
  const texts = parameters.map(({ name, text }) =>
    text.chain((given) => toEncoded(given, malice).map((encoded) => [name, encoded] as const)),
  );
  return fc.tuple(...texts).map((pairs) => {
    const places = new Map(pairs);
    return path.replaceAll(/\{(\w+)\}/g, (_, name: string) => places.get(name) ?? "");
  });
}

/** Each parameter now and then, out of malice also twice, or with one that there is not. */
function toQuery(parameters: readonly TextParameter[], malice: number): fc.Arbitrary<string> {
  const encode = (name: string, text: string) =>
    toEncoded(text, malice).map((encoded) => `${encodeURIComponent(name.toWellFormed())}=${encoded}`);
  const pairs = parameters.map(({ name, text, isKnown, isRequired }) => {
    const once = text.chain((given) => encode(name, given)).map((pair) => [pair]);
    return fc.oneof(
      { weight: isRequired ? malice : 30, arbitrary: fc.constant([]) },
      { weight: isKnown ? 16 : 8, arbitrary: once },
      { weight: malice, arbitrary: fc.tuple(once, once).map((both) => both.flat()) },
    );
  });
  const unknown = fc.tuple(nastyString, nastyString).chain(([name, text]) => encode(name, text));
  const extra = fc.oneof(
    { weight: 12, arbitrary: fc.constant([]) },
    { weight: malice, arbitrary: unknown.map((pair) => [pair]) },
  );
  return fc.tuple(...pairs, extra).map((given) => given.flat().join("&"));
}

/** As it should be encoded, or not quite. */
function toEncoded(text: string, malice: number): fc.Arbitrary<string> {
  const right = encodeURIComponent(text.toWellFormed());
  return fc.oneof(
    { weight: 30, arbitrary: fc.constant(right) },
    {
      weight: malice,
      arbitrary: fc.constantFrom("%", "%zz", "%ff", "%00", "%c0%af", "%ed%a0%80").map((bad) => right + bad),
    },
  );
}

type Headers = Readonly<Record<string, string | readonly string[]>>;

const extraHeaders: fc.Arbitrary<Headers> = fc.constantFrom<Headers>(
  { "content-encoding": "gzip" },
  { "accept-encoding": "gzip;q=NaN" },
  { accept: "image/png" },
  { "x-request-id": "a b" },
  { "x-request-id": "x".repeat(1_000) },
  { "transfer-encoding": "chunked" },
  { expect: "100-continue" },
  { cookie: "a".repeat(4_000) },
  { "if-match": "*", range: "bytes=0-1" },
  { "x-http-method-override": "DELETE" },
  { "x-forwarded-for": "127.0.0.1, ::1" },
);

function toHeaders(parameters: readonly TextParameter[], malice: number): fc.Arbitrary<Headers> {
  const own = parameters.map(({ name, text }) => {
    // A header's value may hold any byte but line ends and NUL.
    const bytes = text.map((given) =>
      given.replaceAll(/[^\t\u0020-\u007e\u0080-\u00ff]/g, "?").slice(0, 2_000),
    );
    return fc.oneof<fc.WeightedArbitrary<Headers>[]>(
      { weight: 10, arbitrary: fc.constant({}) },
      { weight: 10, arbitrary: bytes.map((value) => ({ [name]: value })) },
      { weight: malice, arbitrary: fc.tuple(bytes, bytes).map((values) => ({ [name]: values })) },
    );
  });
  const extra = fc.oneof<fc.WeightedArbitrary<Headers>[]>(
    { weight: 4, arbitrary: fc.constant({}) },
    { weight: malice, arbitrary: extraHeaders },
  );
  return fc.tuple(extra, ...own).map((all) => Object.assign({}, ...all) as Headers);
}
