import { XMLParser } from "fast-xml-parser";
import { z } from "zod";
import { UserError } from "../../lib/errors.ts";

/** What an S3 service has answered, as far as its faults go. */
export interface S3Answer {
  readonly status: number;
  /** Of an error: XML, or empty after HEAD. */
  readonly body: Buffer;
  /** `x-amz-bucket-region`, where the bucket is. */
  readonly region: string | undefined;
}

const parser = new XMLParser({ ignoreAttributes: true, parseTagValue: false });
const errorSchema = z.object({ Error: z.object({ Code: z.string() }) });

/** The service's own word for the fault, such as `NoSuchKey`; undefined where it says none. */
export function readS3Code(body: Buffer): string | undefined {
  try {
    const code = errorSchema.safeParse(parser.parse(body)).data?.Error.Code;
    // Nothing else of the answer is shown: some services repeat the request, with its signature, in their errors.
    return code !== undefined && /^[A-Za-z.\d]{1,60}$/.test(code) ? code : undefined;
  } catch {
    return undefined;
  }
}

/** Waiting may help: the service is busy, or broken for the moment. */
export function isWorthRetrying({ status, body }: S3Answer): boolean {
  if (status === 501) return false;
  return status >= 500 || status === 429 || (status === 400 && readS3Code(body) === "RequestTimeout");
}

/** A kind of fault: which answers are of it, and what is said then, after the bucket. */
interface FaultKind {
  readonly code: string;
  isFault(answer: S3Answer, s3Code: string | undefined): boolean;
  say(told: string, answer: S3Answer): string;
  readonly retryable?: true;
}

const credentialCodes = new Set([
  "InvalidAccessKeyId",
  "SignatureDoesNotMatch",
  "InvalidToken",
  "ExpiredToken",
]);
const fullCodes = new Set(["QuotaExceeded", "XMinioStorageFull"]);

/** The first that fits counts. */
const faultKinds: readonly FaultKind[] = [
  {
    code: "images-credentials",
    isFault: (_, s3Code = "") => credentialCodes.has(s3Code),
    say: (told) =>
      `refuses the credentials (${told}): check AVATARS_S3_ACCESS_KEY_ID and AVATARS_S3_SECRET_ACCESS_KEY`,
  },
  {
    code: "images-clock",
    isFault: (_, s3Code) => s3Code === "RequestTimeTooSkewed",
    say: (told) => `finds our clock wrong (${told}): set the time of this machine`,
  },
  {
    code: "images-region",
    isFault: ({ status }, s3Code) =>
      status === 301 || status === 307 || s3Code === "AuthorizationHeaderMalformed",
    say: (told, { region }) =>
      `is in another region (${told})${region === undefined ? "" : `; it is in ${region}`}: check AVATARS_S3_REGION`,
  },
  {
    code: "images-no-bucket",
    isFault: (_, s3Code) => s3Code === "NoSuchBucket",
    say: (told) => `does not exist (${told}): create it, or check AVATARS_IMAGES and AVATARS_S3_ENDPOINT`,
  },
  {
    code: "images-denied",
    isFault: ({ status }) => status === 401 || status === 403,
    say: (told) =>
      `does not let us in (${told}): allow s3:PutObject, s3:GetObject, s3:DeleteObject and s3:ListBucket`,
  },
  {
    code: "images-no-space",
    isFault: ({ status }, s3Code = "") => status === 507 || fullCodes.has(s3Code),
    say: (told) => `has no space left for images (${told})`,
    retryable: true,
  },
  {
    code: "images-unreachable",
    isFault: isWorthRetrying,
    say: (told) => `cannot answer for now (${told})`,
    retryable: true,
  },
];

/**
 * Says whose fault an answer is. Of the service's words only its code is shown.
 * @param shown the service and the bucket, without secrets
 */
export function toS3Error(answer: S3Answer, shown: string): UserError {
  const s3Code = readS3Code(answer.body);
  const told = `HTTP ${answer.status}${s3Code === undefined ? "" : `, ${s3Code}`}`;
  const kind = faultKinds.find(({ isFault }) => isFault(answer, s3Code));
  if (kind === undefined) return new UserError("images-refused", `${shown} refuses the request (${told})`);
  const { code, say, retryable = false } = kind;
  return new UserError(code, `${shown} ${say(told, answer)}`, { retryable });
}
