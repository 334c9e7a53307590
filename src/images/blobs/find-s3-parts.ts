/** How to come to an S3 service, and as whom. */
export interface S3Parts {
  /** An origin, without a slash at its end. Undefined: Amazon's of the region. */
  readonly endpoint: string | undefined;
  readonly region: string;
  readonly credentials: S3Credentials;
  /** `endpoint/bucket/key`; otherwise the bucket is a part of the host's name. */
  readonly pathStyle: boolean;
}

export interface S3Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Undefined: the credentials are not temporary. */
  readonly sessionToken: string | undefined;
}

type Found<Value> = { readonly value: Value } | { readonly fault: string };

/**
 * Finds the parts under our names, else under Amazon's own. All faults are named, values never.
 * @param env settings that are empty are left out
 */
export function findS3Parts(
  env: NodeJS.ProcessEnv,
  bucket: string,
):
  | { readonly ok: true; readonly value: S3Parts }
  | { readonly ok: false; readonly faults: readonly string[] } {
  const endpoint = findEndpoint(env);
  const region = findRegion(env);
  const credentials = findCredentials(env);
  const pathStyle = findPathStyle(env, bucket);
  if ("value" in endpoint && "value" in region && "value" in credentials && "value" in pathStyle) {
    const value = {
      endpoint: endpoint.value,
      region: region.value,
      credentials: credentials.value,
      pathStyle: pathStyle.value,
    };
    return { ok: true, value };
  }
  const found = [endpoint, region, credentials, pathStyle];
  return { ok: false, faults: found.flatMap((part) => ("fault" in part ? [part.fault] : [])) };
}

/** An origin alone: a user in it would be shown, and a path would be signed otherwise by each service. */
function findEndpoint(env: NodeJS.ProcessEnv): Found<string | undefined> {
  const text = env["AVATARS_S3_ENDPOINT"]?.trim();
  if (text === undefined) return { value: undefined };
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isOrigin = url !== undefined && /^https?:$/.test(url.protocol) && url.href === `${url.origin}/`;
  if (isOrigin) return { value: url.origin };
  return {
    fault: "AVATARS_S3_ENDPOINT must be an origin such as https://s3.example.com, without user or path",
  };
}

function findRegion(env: NodeJS.ProcessEnv): Found<string> {
  const text = (env["AVATARS_S3_REGION"] ?? env["AWS_REGION"] ?? env["AWS_DEFAULT_REGION"])?.trim();
  if (text === undefined) {
    // Services other than Amazon's mostly have one region, of this name.
    if (env["AVATARS_S3_ENDPOINT"] !== undefined) return { value: "us-east-1" };
    return { fault: "AVATARS_S3_REGION or AVATARS_S3_ENDPOINT must be set too: AVATARS_IMAGES is a bucket" };
  }
  // It becomes a part of a host's name.
  if (/^[a-z\d-]{1,40}$/i.test(text)) return { value: text };
  return { fault: "AVATARS_S3_REGION must be a region such as eu-central-1" };
}

/** Both halves from names of one kind: a key of one account with the secret of another fits nowhere. */
function findCredentials(env: NodeJS.ProcessEnv): Found<S3Credentials> {
  const ours = ["AVATARS_S3_ACCESS_KEY_ID", "AVATARS_S3_SECRET_ACCESS_KEY"] as const;
  const amazons = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] as const;
  const names = ours.some((name) => env[name] !== undefined) ? ours : amazons;
  const [accessKeyId, secretAccessKey] = names.map((name) => env[name]?.trim());
  if (accessKeyId === undefined || secretAccessKey === undefined) {
    const fault = `${ours.join(" and ")} must be set too, or ${amazons.join(" and ")}: AVATARS_IMAGES is a bucket`;
    return { fault };
  }
  const sessionToken = names === amazons ? env["AWS_SESSION_TOKEN"]?.trim() : undefined;
  // They become parts of headers.
  if ([accessKeyId, secretAccessKey, sessionToken ?? "-"].every((text) => /^[!-~]+$/.test(text))) {
    return { value: { accessKeyId, secretAccessKey, sessionToken } };
  }
  return { fault: `${names.join(" and ")} must be of printable characters, without blanks` };
}

/** Amazon's certificates have one label before its own names, so that a bucket with dots needs its place in the path. */
function findPathStyle(env: NodeJS.ProcessEnv, bucket: string): Found<boolean> {
  const text = env["AVATARS_S3_PATH_STYLE"]?.trim().toLowerCase();
  if (text === undefined) return { value: env["AVATARS_S3_ENDPOINT"] !== undefined || bucket.includes(".") };
  if (/^(true|1|yes|on)$/.test(text)) return { value: true };
  if (/^(false|0|no|off)$/.test(text)) return { value: false };
  return { fault: "AVATARS_S3_PATH_STYLE must be true or false" };
}
