import { describe, expect, test } from "vitest";
import type { S3Setting } from "../../src/images/blobs/parse-images-setting.ts";
import { toS3Url } from "../../src/images/blobs/s3-url.ts";

const setting: S3Setting = {
  kind: "s3",
  bucket: "faces",
  prefix: "crm",
  endpoint: undefined,
  region: "eu-central-1",
  credentials: { accessKeyId: "key", secretAccessKey: "secret", sessionToken: undefined },
  pathStyle: false,
};
const endpoint = "https://s3.example.com:9000";

describe("a request to a bucket goes", () => {
  test.each<[string, Partial<S3Setting>, string, string]>([
    ["to Amazon's host of it", {}, "crm/ab", "https://faces.s3.eu-central-1.amazonaws.com/crm/ab"],
    [
      "to Amazon's host of its region",
      { pathStyle: true },
      "crm/ab",
      "https://s3.eu-central-1.amazonaws.com/faces/crm/ab",
    ],
    ["to another service's host of it", { endpoint }, "crm/ab", "https://faces.s3.example.com:9000/crm/ab"],
    [
      "to another service's own host",
      { endpoint, pathStyle: true },
      "crm/ab",
      "https://s3.example.com:9000/faces/crm/ab",
    ],
    ["to the host's root for the bucket itself", {}, "", "https://faces.s3.eu-central-1.amazonaws.com/"],
    [
      "to no slash after the bucket itself",
      { endpoint, pathStyle: true },
      "",
      "https://s3.example.com:9000/faces",
    ],
  ])("%s", (_, change, key, url) => {
    expect(toS3Url({ ...setting, ...change }, key)).toBe(url);
  });

  test("with its query escaped", () => {
    expect(toS3Url(setting, "", { versioning: "", "continuation-token": "a+b/c=" })).toBe(
      "https://faces.s3.eu-central-1.amazonaws.com/?versioning=&continuation-token=a%2Bb%2Fc%3D",
    );
  });
});
