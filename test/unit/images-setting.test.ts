import { join, resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { readConfig } from "../../src/config.ts";
import { chooseUnsetImages, parseImagesSetting } from "../../src/images/blobs/parse-images-setting.ts";

const keys = { AVATARS_S3_ACCESS_KEY_ID: "ours", AVATARS_S3_SECRET_ACCESS_KEY: "our+secret/=" };
const amazons = { AWS_ACCESS_KEY_ID: "theirs", AWS_SECRET_ACCESS_KEY: "their-secret" };
const region = { AVATARS_S3_REGION: "eu-central-1" };
const endpoint = { AVATARS_S3_ENDPOINT: "https://s3.example.com" };

function parse(env: Record<string, string>) {
  const parsed = parseImagesSetting(env);
  return parsed.ok ? parsed.value : parsed.faults;
}

describe("where images are kept", () => {
  test.each([
    ["/var/lib/images", "/var/lib/images"],
    ["images", resolve("images")],
    [" ./off ", resolve("off")],
    ["file:///var/lib/my%20images", "/var/lib/my images"],
  ])("is the folder %s", (text, path) => {
    expect(parse({ AVATARS_IMAGES: text })).toEqual({ kind: "directory", path });
  });

  test.each(["off", "OFF"])("is nowhere with %s", (text) => {
    expect(parse({ AVATARS_IMAGES: text })).toEqual({ kind: "off", isChosen: true });
  });

  test("is beside the embedded database where nothing is set, and nowhere with another database", () => {
    expect(parse({})).toBeUndefined();
    const beside = { kind: "directory", path: join("/data", "images") };
    expect(chooseUnsetImages("/data", true)).toEqual(beside);
    expect(readConfig({ AVATARS_DATA_DIR: "/data" }).images).toEqual(beside);
    expect(readConfig({ DATABASE_URL: "postgres://db/crm" }).images).toEqual({
      kind: "off",
      isChosen: false,
    });
  });

  test.each([
    ["s3://faces", "faces", ""],
    ["s3://faces/", "faces", ""],
    ["s3://faces/crm/images", "faces", "crm/images"],
    ["S3://my-faces.2/crm_1/", "my-faces.2", "crm_1"],
  ])("is the bucket of %s", (text, bucket, prefix) => {
    expect(parse({ AVATARS_IMAGES: text, ...region, ...keys })).toEqual({
      kind: "s3",
      bucket,
      prefix,
      endpoint: undefined,
      region: "eu-central-1",
      credentials: { accessKeyId: "ours", secretAccessKey: "our+secret/=", sessionToken: undefined },
      pathStyle: bucket.includes("."),
    });
  });

  test.each([
    "s3:/faces",
    "s3://f",
    "s3://Faces",
    "s3://faces//images",
    "s3://faces/../images",
    "s3://faces/images?versioning",
    "s3://key:secret@faces/images",
    "file:images",
    "file://host/images",
    "gs://faces",
    "https://faces.example.com/",
  ])("is not %s, which is not repeated", (text) => {
    const faults = parse({ AVATARS_IMAGES: text, ...region, ...keys });
    expect(faults).toEqual([expect.stringMatching(/^AVATARS_IMAGES must be /)]);
    expect(JSON.stringify(faults)).not.toContain(text);
  });
});

describe("how a bucket is come by", () => {
  const place = { AVATARS_IMAGES: "s3://faces" };

  test("is by path at another service's origin, unless told otherwise", () => {
    const found = parse({ ...place, ...endpoint, ...keys });
    expect(found).toMatchObject({ endpoint: "https://s3.example.com", region: "us-east-1", pathStyle: true });
    for (const [text, pathStyle] of [
      ["no", false],
      ["TRUE", true],
    ] as const) {
      expect(parse({ ...place, ...endpoint, ...keys, AVATARS_S3_PATH_STYLE: text })).toMatchObject({
        pathStyle,
      });
    }
  });

  test("takes Amazon's own names where ours are unset, with the token that belongs to them", () => {
    expect(
      parse({ ...place, AWS_REGION: "us-west-2", ...amazons, AWS_SESSION_TOKEN: "token" }),
    ).toMatchObject({
      region: "us-west-2",
      credentials: { accessKeyId: "theirs", secretAccessKey: "their-secret", sessionToken: "token" },
    });
    expect(
      parse({
        ...place,
        ...region,
        ...keys,
        AWS_REGION: "us-west-2",
        ...amazons,
        AWS_SESSION_TOKEN: "token",
      }),
    ).toMatchObject({
      region: "eu-central-1",
      credentials: { accessKeyId: "ours", sessionToken: undefined },
    });
  });

  test("never joins a key of one name with a secret of the other", () => {
    expect(parse({ ...place, ...region, AVATARS_S3_ACCESS_KEY_ID: "ours", ...amazons })).toEqual([
      expect.stringContaining("AVATARS_S3_SECRET_ACCESS_KEY"),
    ]);
  });

  test("has all its faults named at once, and no value", () => {
    const faults = parse({
      AVATARS_IMAGES: "s3://NO/bucket",
      AVATARS_S3_ENDPOINT: "https://user:secret@host/path",
      AVATARS_S3_REGION: "secret/../region",
      AVATARS_S3_ACCESS_KEY_ID: "secret with blanks",
      AVATARS_S3_SECRET_ACCESS_KEY: "secret",
      AVATARS_S3_PATH_STYLE: "secret",
    });
    expect(faults).toEqual(
      ["IMAGES", "S3_ENDPOINT", "S3_REGION", "S3_ACCESS_KEY_ID", "S3_PATH_STYLE"].map((name) =>
        expect.stringMatching(new RegExp(`^AVATARS_${name} .*must be `)),
      ),
    );
    expect(JSON.stringify(faults)).not.toContain("secret");
  });

  test("is reported with the faults of all other settings", () => {
    expect(() => readConfig({ PORT: "x", AVATARS_IMAGES: "s3://faces" })).toThrow(
      /PORT must be .*; AVATARS_S3_REGION or .*; AVATARS_S3_ACCESS_KEY_ID and /,
    );
  });

  test("is not asked for where images are in a folder", () => {
    expect(parse({ AVATARS_IMAGES: "/images", AVATARS_S3_ENDPOINT: "nonsense" })).toMatchObject({
      kind: "directory",
    });
  });
});
