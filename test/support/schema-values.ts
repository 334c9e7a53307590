import fc from "fast-check";
import type { ApiDocument, Schema } from "./api-document.ts";

/** Values that exist, by the parameter's or property's name: without them all would be refused at the door. */
export type Known = Readonly<Record<string, readonly unknown[]>>;

/** In a query, a path or a header all is text. */
export function toText(value: fc.Arbitrary<unknown>): fc.Arbitrary<string> {
  return value.map((given) => (typeof given === "string" ? given : (JSON.stringify(given) ?? "")));
}

/** What a schema allows, mostly with what exists where the name says what is meant. */
export function toValue(
  document: ApiDocument,
  given: Schema,
  name: string,
  known: Known,
): fc.Arbitrary<unknown> {
  const schema = document.resolve(given);
  const existing = schema.type === "array" ? undefined : known[name];
  if (existing && existing.length > 0) {
    return fc.oneof(
      { weight: 15, arbitrary: fc.constantFrom(...existing) },
      toFree(document, schema, name, known),
    );
  }
  return toFree(document, schema, name, known);
}

const maxItems = 8;

function toFree(document: ApiDocument, schema: Schema, name: string, known: Known): fc.Arbitrary<unknown> {
  if (schema.enum) return fc.constantFrom(...schema.enum);
  if (schema.anyOf) {
    return fc.oneof(...schema.anyOf.map((option) => toValue(document, option, name, known)));
  }
  switch (schema.type) {
    case "object":
      return toObject(document, schema, known);
    case "array":
      return fc.array(toValue(document, schema.items ?? {}, name, known), {
        minLength: schema.minItems ?? 0,
        maxLength: maxItems,
      });
    case "integer":
    case "number":
      return toNumber(schema);
    case "boolean":
      return fc.boolean();
    default:
      return toString(schema);
  }
}

function toNumber({ type, minimum = 0, maximum = 2 ** 31 }: Schema): fc.Arbitrary<number> {
  if (type === "number") return fc.double({ min: minimum, max: maximum, noNaN: true });
  return fc.integer({ min: minimum, max: Math.min(maximum, 2 ** 31 - 1) });
}

function toString({ format, pattern, minLength = 0, maxLength = 60 }: Schema): fc.Arbitrary<string> {
  if (format === "uuid") return fc.uuid();
  if (format === "uri") return fc.webUrl({ size: "small" });
  if (pattern !== undefined) return fc.stringMatching(new RegExp(pattern), { size: "small" });
  return fc.string({ unit: "grapheme", minLength, maxLength: Math.min(maxLength, 60) });
}

/** What is not required is there every other time. */
function toObject(document: ApiDocument, schema: Schema, known: Known): fc.Arbitrary<unknown> {
  const properties = Object.entries(schema.properties ?? {}).map(([name, property]) => {
    const pair = toValue(document, property, name, known).map((value) => [[name, value]] as const);
    return schema.required?.includes(name) ? pair : fc.oneof(pair, fc.constant([]));
  });
  return fc.tuple(...properties).map((pairs) => Object.fromEntries(pairs.flat()) as unknown);
}
