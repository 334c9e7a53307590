import type { S3Setting } from "./parse-images-setting.ts";

/**
 * Where a request goes.
 * @param key within the bucket, without a slash before it; empty: the bucket itself
 */
export function toS3Url(
  { bucket, endpoint, region, pathStyle }: S3Setting,
  key: string,
  query?: Readonly<Record<string, string>>,
): string {
  const url = new URL(endpoint ?? `https://s3.${region}.amazonaws.com`);
  if (pathStyle) {
    // Services do not agree on whether a slash after the bucket alone is signed.
    url.pathname = key === "" ? `/${bucket}` : `/${bucket}/${key}`;
  } else {
    url.hostname = `${bucket}.${url.hostname}`;
    url.pathname = `/${key}`;
  }
  url.search = new URLSearchParams(query).toString();
  return url.href;
}
