import { useState } from "preact/hooks";
import type { RotatedWebhook, Webhook, WebhookDelivery } from "../../client/wire.ts";
import { call } from "../data/api.ts";
import { Confirmed, Dialog } from "../parts/confirm.tsx";
import { Problem } from "../parts/problem.tsx";
import { useToasts } from "../parts/toasts.tsx";
import { formatNumber } from "../words/format.ts";
import { texts } from "../words/texts.ts";

const words = texts.webhooks;

/** What can be done with a webhook; what is refused is said in words. */
export function WebhookActions({
  webhook,
  onDone,
  onRotated,
  onRemoved,
}: {
  readonly webhook: Webhook;
  readonly onDone: () => void;
  readonly onRotated: (rotated: RotatedWebhook) => void;
  readonly onRemoved: () => void;
}) {
  const toasts = useToasts();
  const [working, setWorking] = useState<"test" | "disable">();
  const path = `v1/webhooks/${webhook.id}`;
  const name = webhook.label ?? webhook.url;

  async function run(action: "test" | "disable", work: () => Promise<string>): Promise<void> {
    setWorking(action);
    try {
      toasts.say(await work());
      onDone();
    } catch (error) {
      toasts.complain(error);
    } finally {
      setWorking(undefined);
    }
  }

  async function test(): Promise<string> {
    const delivery = await call<WebhookDelivery>("POST", `${path}/test`);
    const say = delivery.error === null ? words.taken : words.notTaken;
    return say(toOutcome(delivery), formatNumber(delivery.tookMs));
  }

  async function disable(): Promise<string> {
    await call("POST", `${path}/disable`);
    return words.disabledNow;
  }

  async function rotate(): Promise<void> {
    onRotated(await call<RotatedWebhook>("POST", `${path}/rotate`));
    onDone();
  }

  async function remove(): Promise<void> {
    await call("DELETE", path);
    toasts.say(words.removed(name));
    onRemoved();
  }

  return (
    <>
      <button type="button" disabled={working !== undefined} onClick={() => void run("test", test)}>
        {working === "test" ? words.testing : words.test}
      </button>
      {webhook.state === "disabled" ? (
        <Enable path={path} onDone={onDone} />
      ) : (
        <button type="button" disabled={working !== undefined} onClick={() => void run("disable", disable)}>
          {words.disable}
        </button>
      )}
      <Confirmed label={words.rotate} question={words.rotateQuestion} onConfirm={rotate} />
      <Confirmed label={words.remove} question={words.removeQuestion(name)} isDanger onConfirm={remove} />
    </>
  );
}

/** Turns a webhook on again. Where it goes on has no default: it is asked. */
function Enable({ path, onDone }: { readonly path: string; readonly onDone: () => void }) {
  const toasts = useToasts();
  const [isOpen, setIsOpen] = useState(false);
  const [error, setError] = useState<unknown>();

  async function enable(from: "stopped" | "now"): Promise<void> {
    setError(undefined);
    try {
      await call("POST", `${path}/enable`, { body: { from } });
      toasts.say(words.enabled);
      setIsOpen(false);
      onDone();
    } catch (cause) {
      setError(cause);
    }
  }

  return (
    <>
      <button type="button" class="primary" onClick={() => setIsOpen(true)}>
        {words.enable}
      </button>
      {isOpen && (
        <Dialog title={words.enable} onClose={() => setIsOpen(false)}>
          <p>{words.enableQuestion}</p>
          <Problem error={error} />
          <div class="actions">
            <button type="button" onClick={() => setIsOpen(false)}>
              {texts.common.cancel}
            </button>
            {(["now", "stopped"] as const).map((from) => (
              <button key={from} type="button" class="primary" onClick={() => void enable(from)}>
                {words.from[from]}
              </button>
            ))}
          </div>
        </Dialog>
      )}
    </>
  );
}

/** `204`, `500, refused`, or why there was no answer: `timeout`. */
export function toOutcome({ status, error }: WebhookDelivery): string {
  return [status, error].filter((part) => part !== null).join(", ");
}
