import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { expect } from "vitest";
import type { ApiAnswer } from "./api-call.ts";

/** JSON Schema, as far as the document uses it. */
export interface Schema {
  readonly $ref?: string;
  readonly type?: string;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly pattern?: string;
  readonly format?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly items?: Schema;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly anyOf?: readonly Schema[];
}

interface Media {
  readonly schema: Schema;
}

export interface Parameter {
  readonly in: "query" | "path" | "header";
  readonly name: string;
  readonly required?: boolean;
  readonly description?: string;
  readonly schema: Schema;
}

interface DocumentedOperation {
  readonly operationId: string;
  readonly security: readonly Readonly<Record<string, readonly string[]>>[];
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: { readonly content: Readonly<Record<string, Media>> };
  readonly responses: Readonly<Record<string, { readonly content?: Readonly<Record<string, Media>> }>>;
}

export interface Operation {
  readonly id: string;
  readonly method: string;
  /** With `{name}` for its parameters. */
  readonly path: string;
  /** Undefined: needs no key. */
  readonly scopes: readonly string[] | undefined;
  readonly parameters: readonly Parameter[];
  /** By content type. */
  readonly bodies: Readonly<Record<string, Media>>;
  readonly statuses: readonly number[];
}

export interface ApiDocument {
  readonly text: string;
  readonly operations: readonly Operation[];
  /** Fails unless the document says that this operation answers so. */
  check(operation: Operation, answer: ApiAnswer): void;
  /** Fails unless the value is as this component says. */
  checkComponent(name: string, value: unknown): void;
  /** The schema itself, whatever refers to it. */
  resolve(schema: Schema): Schema;
}

const documentId = "https://127.0.0.1/openapi.json";

/** @param text of `/openapi.json` */
export function readDocument(text: string): ApiDocument {
  const document = JSON.parse(text) as {
    readonly paths: Readonly<Record<string, Readonly<Record<string, DocumentedOperation>>>>;
    readonly components: { readonly schemas: Readonly<Record<string, Schema>> };
  };
  const ajv = new Ajv2020({ allErrors: true, strict: false });
  addFormats.default(ajv);
  ajv.addSchema({ ...document, $id: documentId });
  const compiled = new Map<string, ValidateFunction>();
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => toOperation(path, method, operation)),
  );

  function validate(pointer: string, value: unknown): void {
    const known = compiled.get(pointer);
    const check = known ?? ajv.compile({ $ref: `${documentId}#${pointer}` });
    compiled.set(pointer, check);
    if (check(value)) return;
    expect.fail(`${pointer}: ${ajv.errorsText(check.errors)}\n${JSON.stringify(value).slice(0, 2_000)}`);
  }

  return {
    text,
    operations,
    check(operation, { status, headers, body, text }) {
      const { id, method, path } = operation;
      const responses = document.paths[path]?.[method.toLowerCase()]?.responses ?? {};
      const declared = responses[String(status)];
      if (!declared) expect.fail(`${id} answered ${status}, which is not declared: ${text.slice(0, 500)}`);
      expect(headers["x-request-id"], `${id} ${status}`).toMatch(/^[\w.:/+=-]{1,128}$/);
      const { content } = declared;
      if (!content) {
        expect([body.length, headers["content-type"]], `${id} ${status}`).toEqual([0, undefined]);
        return;
      }
      const [type = ""] = (headers["content-type"] ?? "").split(";");
      if (!content[type]) expect.fail(`${id} answered ${status} as ${type}: ${Object.keys(content).join()}`);
      const media = type.replaceAll("/", "~1");
      const pointer = `/paths/${path.replaceAll("~", "~0").replaceAll("/", "~1")}/${method.toLowerCase()}/responses/${status}/content/${media}/schema`;
      validate(encodeURI(pointer), /^application\/(problem\+)?json$/.test(type) ? JSON.parse(text) : text);
    },
    checkComponent: (name, value) => validate(`/components/schemas/${name}`, value),
    resolve(schema) {
      const name = schema.$ref?.split("/").at(-1);
      return name === undefined ? schema : document.components.schemas[name]!;
    },
  };
}

function toOperation(path: string, method: string, operation: DocumentedOperation): Operation {
  const { operationId, security, parameters = [], requestBody, responses } = operation;
  return {
    id: operationId,
    method: method.toUpperCase(),
    path,
    scopes: security.length === 0 ? undefined : (security[0]!["key"] ?? []),
    parameters,
    bodies: requestBody?.content ?? {},
    statuses: Object.keys(responses).map(Number),
  };
}

/** The path with these in the places of its parameters, and the rest as a query. */
export function toPath(path: string, values: Readonly<Record<string, string>> = {}): string {
  const rest = new URLSearchParams(values);
  const filled = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => {
    rest.delete(name);
    return encodeURIComponent(values[name] ?? "");
  });
  return rest.size === 0 ? filled : `${filled}?${rest.toString()}`;
}
