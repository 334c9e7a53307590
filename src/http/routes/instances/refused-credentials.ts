import type { CredentialRefusal } from "../../../domain/judge-credentials.ts";
import type { ApiError } from "../../answers/problem.ts";
import { invalidRequest } from "../../answers/to-api-error.ts";

/** Why the credentials of an instance may not be set so, as the answer says it. */
export function refusedCredentials(refusal: CredentialRefusal): ApiError {
  return invalidRequest([refusals[refusal]]);
}

const refusals: Readonly<Record<CredentialRefusal, { path: string; message: string }>> = {
  "needs-token": {
    path: "/token",
    message: "An apiUrl at another host needs the token again: it would be sent there",
  },
  "untrusted-host": {
    path: "/apiUrl",
    message:
      "Over HTTP an apiUrl points to GREEN-API by https, or to a host in AVATARS_API_HOSTS; the command line sets any other: avatars instance add",
  },
};
