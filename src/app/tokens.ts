import { isInstanceToken } from "../domain/instance-token.ts";
import { UserError } from "../lib/errors.ts";
import { isSealedBefore } from "../lib/secrets/secret-box.ts";
import type { Base } from "./base.ts";
import { listCredentials, replaceSealedToken } from "../store/instances/sealed-tokens.ts";

/**
 * Looks through the stored tokens before a worker starts. It seals tokens anew that are not bound to an origin yet. It tells
 * of tokens of a form that is not taken any more. Those go on working; searching for them is as quick as for any other.
 * @throws UserError `wrong-secret-key`: a worker with a key that opens none of them would hold every instance
 */
export async function checkTokens({ database, secrets, events }: Base): Promise<void> {
  const box = secrets();
  const stored = (await listCredentials(database)).map((row) => ({
    ...row,
    token: box.open(row.sealedToken, row),
  }));
  if (stored.length > 0 && stored.every(({ token }) => token === undefined)) {
    throw new UserError(
      "wrong-secret-key",
      "AVATARS_SECRET_KEY opens none of the stored tokens: start with the key they were stored with, or add the instances again",
    );
  }
  for (const { token, ...row } of stored) {
    if (token === undefined) continue;
    if (isSealedBefore(row.sealedToken)) await replaceSealedToken(database, row, box.seal(token, row));
    if (!isInstanceToken(token)) events.tokenUnusual({ instanceId: row.id });
  }
}
