import { useState } from "preact/hooks";
import type { Contact, RefreshPending } from "../../client/wire.ts";
import { call } from "../data/api.ts";
import { Confirmed } from "../parts/confirm.tsx";
import { useToasts } from "../parts/toasts.tsx";
import { texts } from "../words/texts.ts";

const words = texts.contact;
const waitText = "15s";

/** What can be done with a contact; what is refused is said in words. */
export function ContactActions({
  path,
  onDone,
  onErased,
}: {
  /** Of the contact in the API. */
  readonly path: string;
  readonly onDone: () => void;
  readonly onErased: () => void;
}) {
  const toasts = useToasts();
  const [isAsking, setIsAsking] = useState(false);

  async function refresh(): Promise<void> {
    setIsAsking(true);
    try {
      const answer = await call<Contact | RefreshPending>("POST", `${path}/refresh`, {
        query: { wait: waitText },
      });
      toasts.say(toAnswerWords(answer));
      onDone();
    } catch (error) {
      toasts.complain(error);
    } finally {
      setIsAsking(false);
    }
  }

  async function erase(): Promise<void> {
    await call("DELETE", path);
    toasts.say(words.erased);
    onErased();
  }

  return (
    <>
      <button type="button" class="primary" disabled={isAsking} onClick={() => void refresh()}>
        {isAsking ? words.refreshing : words.refresh}
      </button>
      <Confirmed label={words.erase} question={words.eraseQuestion} isDanger onConfirm={erase} />
    </>
  );
}

function toAnswerWords(answer: Contact | RefreshPending): string {
  if (!("stopped" in answer)) return words.refreshed(texts.statuses[answer.status]);
  const { stopped } = answer;
  return stopped === null ? words.refreshWaits : words.refreshStopped(words.stopped[stopped.reason]);
}
