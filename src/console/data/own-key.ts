import { createContext } from "preact";
import type { ApiKey } from "../../client/wire.ts";

/** The key of the session: what its rights are. */
export const OwnKeyContext = createContext<ApiKey | undefined>(undefined);
