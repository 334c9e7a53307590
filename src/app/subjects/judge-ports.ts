import { mayPointTo } from "../../domain/api-host.ts";
import type { InstanceId } from "../../domain/instance-id.ts";
import type { JudgePorts } from "../../domain/judge-credentials.ts";
import { toOrigin } from "../../lib/api-url.ts";
import { isSealedBefore } from "../../lib/secrets/secret-box.ts";
import type { Door } from "./door.ts";

/** The ports for judging a change of credentials. A process without a key may make all changes that need none. */
export function createJudgePorts(
  { secrets, config }: Pick<Door, "secrets" | "config">,
  id: InstanceId,
): JudgePorts {
  return {
    mayPointTo: (apiUrl) => mayPointTo(apiUrl, config.api.hosts),
    toOrigin,
    seal: (token, apiUrl) => secrets().seal(token, { id, apiUrl }),
    sealAnew({ apiUrl: from, sealedToken }, apiUrl) {
      if (toOrigin(from) === toOrigin(apiUrl) && !isSealedBefore(sealedToken)) return undefined;
      const token = secrets().open(sealedToken, { id, apiUrl: from });
      return token === undefined ? undefined : secrets().seal(token, { id, apiUrl });
    },
  };
}
