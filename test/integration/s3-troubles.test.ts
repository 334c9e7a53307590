import { inspect } from "node:util";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { BlobStore } from "../../src/images/blobs/blob-store.ts";
import { openS3Blobs } from "../../src/images/blobs/open-s3-blobs.ts";
import type { S3Setting } from "../../src/images/blobs/parse-images-setting.ts";
import { listAll, makeBlob } from "../support/blobs.ts";
import {
  cutOff,
  openFlawedServer,
  saySilence,
  type FlawedServer,
  type Reply,
} from "../support/flawed-server.ts";
import { s3Credentials, startS3Server, type S3Server } from "../support/s3-server.ts";

const secret = "a-secret/that+nobody=sees";
/** Retries at once. */
const hasty = { attempts: 3, retryBaseMs: 0, random: () => 0 };
const { key, bytes } = makeBlob();

let real: S3Server;
let flawed: FlawedServer;
let store: BlobStore | undefined;

beforeAll(async () => {
  [real, flawed] = await Promise.all([startS3Server(), openFlawedServer()]);
});

afterEach(() => store?.close());

afterAll(() => Promise.all([real.stop(), flawed.close()]));

function open(setting: Partial<S3Setting>, patience = {}): BlobStore {
  store = openS3Blobs({ ...real.setting, ...setting }, { ...hasty, ...patience });
  return store;
}

/** A service that answers as scripted. */
function openFlawed(...replies: readonly Reply[]): BlobStore {
  flawed.script(...replies);
  return open({ endpoint: flawed.url, credentials: { ...s3Credentials, secretAccessKey: secret } });
}

const sendXml =
  (status: number, body = "", headers: Record<string, string> = {}): Reply =>
  (response) =>
    void response.writeHead(status, { "content-type": "application/xml", ...headers }).end(body);

const refuse = (status: number, code: string, headers = {}) =>
  sendXml(
    status,
    `<?xml version="1.0"?><Error><Code>${code}</Code><Message>of ${secret}</Message></Error>`,
    headers,
  );

const half: Reply = (response) => void response.writeHead(200, { "content-length": "1000" }).write("half");

/** Its error, with all that a log could show of it. */
async function fail(attempt: () => Promise<unknown>) {
  const error = await attempt().then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(inspect(error, { depth: 10, showHidden: true })).not.toContain(secret);
  return error;
}

describe("a bucket", () => {
  test("refuses a secret that is not its own, and a key that it does not know", async () => {
    for (const credentials of [
      { ...s3Credentials, secretAccessKey: secret },
      { ...s3Credentials, accessKeyId: "SOMEONE", secretAccessKey: secret },
    ]) {
      const opened = open({ credentials });
      for (const attempt of [
        () => opened.check(),
        () => opened.put(key, bytes, "image/jpeg"),
        () => opened.get(key),
        () => listAll(opened),
      ]) {
        expect(await fail(attempt)).toMatchObject({ code: "images-credentials", retryable: false });
      }
      await opened.close();
    }
  });

  test("that is not there is told of", async () => {
    const opened = open({ bucket: "no-faces" });
    for (const attempt of [() => opened.check(), () => opened.get(key), () => listAll(opened)]) {
      const error = await fail(attempt);
      expect(error).toMatchObject({ code: "images-no-bucket", retryable: false });
      expect(String(error)).toContain("the bucket no-faces at http://127.0.0.1:");
    }
  });

  test("lists what is under its prefix alone, and of that what is ours", async () => {
    const others = open({ prefix: "crm" });
    await others.put(key, bytes, "image/jpeg");
    await others.close();
    const whole = open({ prefix: "" });
    await whole.put(key, bytes, "image/jpeg");
    expect((await listAll(whole)).map((entry) => entry.key)).toEqual([key]);
    await whole.remove([key]);
    await whole.close();
    expect(await listAll(open({ prefix: "cr" }))).toEqual([]);
    expect((await listAll(open({ prefix: "crm" }))).map((entry) => entry.key)).toEqual([key]);
  });

  test("is unreachable when its server is gone", async () => {
    const own = await startS3Server();
    const opened = open(own.setting);
    await opened.put(key, bytes, "image/jpeg");
    await own.stop();
    for (const attempt of [
      () => opened.get(key),
      () => opened.put(key, bytes, "image/jpeg"),
      () => opened.check(),
    ])
      expect(await fail(attempt)).toMatchObject({ code: "images-unreachable", retryable: true });
  });
});

describe("a call to an S3 service", () => {
  test("is made again when the service is busy, broken, or hangs up", async () => {
    const opened = openFlawed(refuse(503, "SlowDown"), cutOff, sendXml(200));
    await opened.put(key, bytes, "image/jpeg");
    expect(flawed.requests.map(({ method }) => method)).toEqual(["PUT", "PUT", "PUT"]);
  });

  test.each([
    ["busy", refuse(503, "SlowDown")],
    ["broken", refuse(500, "InternalError")],
    ["over its rate", refuse(429, "TooManyRequests")],
    ["hanging up", cutOff],
  ])("ends after three attempts at a service that stays %s", async (_, reply) => {
    const opened = openFlawed(reply, reply, reply, sendXml(200));
    expect(await fail(() => opened.put(key, bytes, "image/jpeg"))).toMatchObject({
      code: "images-unreachable",
      retryable: true,
    });
    expect(flawed.requests.length).toBe(3);
  });

  test("ends at its deadline, also within an answer", async () => {
    for (const silence of [saySilence, half]) {
      flawed.script(silence, silence);
      const opened = open({ endpoint: flawed.url }, { attempts: 2, attemptMs: 50 });
      const error = await fail(() => opened.get(key));
      expect(error).toMatchObject({ code: "images-unreachable", retryable: true });
      expect(String(error)).toContain("no answer in time");
      await opened.close();
    }
  });

  test("ends when the store is closed", async () => {
    const opened = openFlawed(saySilence);
    const failed = fail(() => opened.get(key));
    await opened.close();
    expect(await failed).toMatchObject({ code: "images-closed" });
  });

  test.each([
    ["images-denied", refuse(403, "AccessDenied")],
    ["images-denied", sendXml(403)],
    ["images-credentials", refuse(403, "ExpiredToken")],
    ["images-clock", refuse(403, "RequestTimeTooSkewed")],
    ["images-region", refuse(301, "PermanentRedirect", { "x-amz-bucket-region": "eu-west-3" })],
    ["images-region", refuse(400, "AuthorizationHeaderMalformed", { "x-amz-bucket-region": "eu-west-3" })],
    ["images-refused", refuse(501, "NotImplemented")],
    ["images-refused", sendXml(418, `<html>${secret}</html>`)],
    ["images-too-large", sendXml(200, "x".repeat(9 * 1024 * 1024))],
  ])("fails at once with %s, of whose words a code alone is shown", async (code, reply) => {
    const opened = openFlawed(reply);
    const error = await fail(() => opened.get(key));
    expect(error).toMatchObject({ code, retryable: false });
    if (code === "images-region") expect(String(error)).toContain("it is in eu-west-3");
    expect(flawed.requests.length).toBe(1);
  });

  test("carries the hash of its body and the temporary credentials' token under its signature", async () => {
    flawed.script(sendXml(200));
    const opened = open({
      endpoint: flawed.url,
      credentials: { ...s3Credentials, sessionToken: "temporary" },
    });
    await opened.put(key, bytes, "image/jpeg");
    const headers = flawed.requests[0]?.headers;
    expect(headers).toMatchObject({
      "content-type": "image/jpeg",
      "content-length": "1000",
      "x-amz-content-sha256": key.slice(6),
      "x-amz-security-token": "temporary",
    });
    expect(headers?.authorization).toMatch(
      /SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token,/,
    );
  });
});

describe("a listing", () => {
  const page = (text: string) =>
    sendXml(200, `<?xml version="1.0"?><ListBucketResult>${text}</ListBucketResult>`);

  test.each([
    ["is cut off", sendXml(200, "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>a")],
    ["goes on without saying where", page("<IsTruncated>true</IsTruncated>")],
    ["does not say whether it goes on", page("")],
    [
      "has an image without a size",
      page("<IsTruncated>false</IsTruncated><Contents><Key>a</Key></Contents>"),
    ],
    ["is a web page", sendXml(200, "<html><body>Welcome</body></html>")],
    ["is no XML", sendXml(200, "Welcome")],
    ["is empty", sendXml(200)],
  ])("that %s is none, and not taken for an empty one", async (_, reply) => {
    const opened = openFlawed(reply);
    expect(await fail(() => listAll(opened))).toMatchObject({ code: "images-refused", retryable: false });
  });
});

describe("the check at the start", () => {
  const listing = sendXml(200, "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>");
  const versioning = (text: string) =>
    sendXml(
      200,
      `<VersioningConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${text}</VersioningConfiguration>`,
    );
  const check = (reply: Reply) => openFlawed(sendXml(200), sendXml(204), listing, reply).check();

  test.each(["Enabled", "Suspended"])("warns of versions that are %s", async (status) => {
    expect(await check(versioning(`<Status>${status}</Status>`))).toEqual([
      expect.stringContaining("keeps versions"),
    ]);
    expect(flawed.requests.map(({ method, url }) => `${method} ${url}`)).toEqual([
      "PUT /faces/crm/images/write-probe",
      "DELETE /faces/crm/images/write-probe",
      "GET /faces?list-type=2&prefix=crm%2Fimages%2F&max-keys=1000",
      "GET /faces?versioning=",
    ]);
  });

  test("is content with a bucket that never had any, and with a service that has none", async () => {
    for (const reply of [versioning(""), refuse(501, "NotImplemented")])
      expect(await check(reply)).toEqual([]);
  });

  test("says so when versions are not to be told", async () => {
    expect(await check(refuse(403, "AccessDenied"))).toEqual([
      expect.stringContaining("s3:GetBucketVersioning"),
    ]);
  });

  test("fails where an image could not be removed again", async () => {
    const opened = openFlawed(sendXml(200), refuse(403, "AccessDenied"));
    expect(await fail(() => opened.check())).toMatchObject({ code: "images-denied" });
  });
});
