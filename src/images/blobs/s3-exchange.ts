import { AwsV4Signer } from "aws4fetch";
import { createHash } from "node:crypto";
import { Agent, request, type Dispatcher } from "undici";
import { sleep } from "../../lib/deadline.ts";
import { UserError } from "../../lib/errors.ts";
import type { S3Setting } from "./parse-images-setting.ts";
import { toS3Url } from "./s3-url.ts";
import { isWorthRetrying, type S3Answer } from "./s3-error.ts";

/** One call to the service. */
export interface S3Call {
  readonly method: "GET" | "HEAD" | "PUT" | "DELETE";
  /** Within the bucket, without a slash before it; empty: the bucket itself. */
  readonly key: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  readonly type?: string;
}

export interface S3Reply extends S3Answer {
  /** `content-length`, also of HEAD. */
  readonly size: number | undefined;
}

/** How patient a call is. */
export interface S3Patience {
  /** For each attempt, until its last byte. */
  readonly attemptMs: number;
  readonly attempts: number;
  /** The ceiling of the first wait between two attempts; doubles. */
  readonly retryBaseMs: number;
  /** From 0 to 1. */
  readonly random: () => number;
}

export interface S3Exchange {
  /** Any answer that is not worth a retry. @throws UserError `images-unreachable`, `images-too-large`, `images-closed` */
  send(call: S3Call): Promise<S3Reply>;
  close(): Promise<void>;
}

/** @param maxBytes of an answer */
export function createS3Exchange(setting: S3Setting, patience: S3Patience, maxBytes: number): S3Exchange {
  const agent = new Agent({ connections: 32, connect: { timeout: patience.attemptMs } });
  const closing = new AbortController();
  const keys = new Map<string, ArrayBuffer>();
  const shown = showBucket(setting);

  async function attempt(call: S3Call): Promise<S3Reply | UserError> {
    const signal = AbortSignal.any([closing.signal, AbortSignal.timeout(patience.attemptMs)]);
    try {
      const { url, headers } = await sign(setting, call, keys);
      const response = await request(url, {
        method: call.method,
        headers: Object.fromEntries(headers),
        body: call.body ?? null,
        dispatcher: agent,
        signal,
      });
      return await readReply(response, maxBytes, shown);
    } catch (error) {
      if (error instanceof UserError) throw error;
      return toUnreachable(error, signal, shown);
    }
  }

  return {
    async send(call) {
      for (let number = 1; ; number += 1) {
        const reply = await attempt(call);
        const isLast = number >= patience.attempts;
        const hasFailed = reply instanceof UserError;
        if (!hasFailed && (isLast || !isWorthRetrying(reply))) return reply;
        if (closing.signal.aborted) throw new UserError("images-closed", "the store of images is closed");
        if (hasFailed && isLast) throw reply;
        await sleep(patience.random() * patience.retryBaseMs * 2 ** (number - 1), closing.signal);
      }
    },
    async close() {
      closing.abort();
      await agent.destroy();
    },
  };
}

/** Such as `the bucket faces at https://s3.example.com`. */
export function showBucket({ bucket, endpoint, region }: S3Setting): string {
  return `the bucket ${bucket} ${endpoint === undefined ? `in ${region}` : `at ${endpoint}`}`;
}

/** @param keys derived keys of days past and present, which the signer fills */
async function sign(setting: S3Setting, call: S3Call, keys: Map<string, ArrayBuffer>) {
  const { accessKeyId, secretAccessKey, sessionToken } = setting.credentials;
  const headers: Record<string, string> = {
    // The signature covers the bytes too, so that what arrives changed is refused.
    "x-amz-content-sha256": createHash("sha256")
      .update(call.body ?? "")
      .digest("hex"),
    ...(call.type !== undefined && { "content-type": call.type }),
  };
  // A key of yesterday is of no use today.
  if (keys.size > 1) keys.clear();
  return new AwsV4Signer({
    method: call.method,
    url: toS3Url(setting, call.key, call.query),
    headers,
    accessKeyId,
    secretAccessKey,
    ...(sessionToken !== undefined && { sessionToken }),
    service: "s3",
    region: setting.region,
    cache: keys,
  }).sign();
}

async function readReply(
  { statusCode, headers, body }: Dispatcher.ResponseData,
  maxBytes: number,
  shown: string,
): Promise<S3Reply> {
  const length = toOne(headers["content-length"]);
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxBytes) {
      throw new UserError(
        "images-too-large",
        `${shown} answers with more than ${maxBytes} bytes, which is none of ours`,
      );
    }
    chunks.push(chunk);
  }
  return {
    status: statusCode,
    body: Buffer.concat(chunks),
    region: toOne(headers["x-amz-bucket-region"]),
    size: length === undefined ? undefined : Number(length),
  };
}

function toOne(header: string | string[] | undefined): string | undefined {
  return typeof header === "string" ? header : header?.[0];
}

/** undici's errors have no header in their text, and what is signed is in headers alone. */
function toUnreachable(error: unknown, signal: AbortSignal, shown: string): UserError {
  const code = error instanceof Error && "code" in error ? String(error.code) : "no answer";
  const told = signal.aborted ? "no answer in time" : code;
  const text = `${shown} cannot be reached (${told}): check AVATARS_S3_ENDPOINT, and that the service runs`;
  return new UserError("images-unreachable", text, { cause: error, retryable: true });
}
