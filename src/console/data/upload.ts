import type { AcceptedBatch } from "../../client/wire.ts";
import { CallError, toCallError, toUrl, writeHeaders } from "./api.ts";

export interface Upload {
  readonly file: File;
  readonly query: Readonly<Record<string, string | undefined>>;
  /** Told how much of it has been sent, 0 to 1. */
  readonly onProgress: (share: number) => void;
  readonly signal: AbortSignal;
}

const types: Readonly<Record<string, string>> = {
  csv: "text/csv",
  tsv: "text/csv",
  txt: "text/plain",
  ndjson: "application/x-ndjson",
  jsonl: "application/x-ndjson",
  vcf: "text/vcard",
  json: "application/x-ndjson",
  xlsx: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
};

/** The media type of a file by its name; what is unknown is read as CSV. Zipped ones are known by what is in them. */
function toMediaType(name: string): string {
  const [, ending = ""] = /\.([a-z]{1,6})(?:\.gz)?$/i.exec(name) ?? [];
  return types[ending.toLowerCase()] ?? "text/csv";
}

/**
 * Sends a file as a batch, as it is: the server reads it while it comes. XMLHttpRequest alone tells how far it has come.
 * @throws CallError
 */
export async function uploadBatch({ file, query, onProgress, signal }: Upload): Promise<AcceptedBatch> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", toUrl("v1/batches", query));
    for (const [name, value] of Object.entries(writeHeaders)) request.setRequestHeader(name, value);
    request.setRequestHeader("content-type", toMediaType(file.name));
    request.setRequestHeader("idempotency-key", crypto.randomUUID());
    request.upload.addEventListener("progress", ({ loaded, total }) =>
      onProgress(total > 0 ? loaded / total : 0),
    );
    request.addEventListener("load", () => {
      const { status, responseText } = request;
      if (status < 300) resolve(JSON.parse(responseText) as AcceptedBatch);
      else void toCallError(status, responseText).then(reject);
    });
    request.addEventListener("error", () => reject(new CallError(0, "no-answer", "")));
    request.addEventListener("abort", () => reject(new CallError(0, "aborted", "")));
    signal.addEventListener("abort", () => request.abort());
    request.send(file);
  });
}
