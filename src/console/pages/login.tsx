import { useEffect, useState } from "preact/hooks";
import { call } from "../data/api.ts";
import { Logo } from "../parts/icons.tsx";
import { Problem } from "../parts/problem.tsx";
import { texts } from "../words/texts.ts";

const words = texts.login;

/** The form that exchanges a key for a session. */
export function Login({
  note,
  onLogin,
}: {
  /** Why it is asked for. */
  readonly note: string | undefined;
  /** False: the browser has not kept the session. */
  readonly onLogin: () => Promise<boolean>;
}) {
  const [key, setKey] = useState("");
  const [isWorking, setIsWorking] = useState(false);
  const [error, setError] = useState<unknown>();
  const [remark, setRemark] = useState(note);
  useEffect(() => {
    document.title = `${words.title} · ${texts.product}`;
  }, []);

  async function logIn(event: Event): Promise<void> {
    event.preventDefault();
    setIsWorking(true);
    setError(undefined);
    setRemark(undefined);
    try {
      await call("POST", "console/session", { body: { key: key.trim() } });
      if (!(await onLogin())) setRemark(words.noCookie);
    } catch (cause) {
      setError(cause);
    } finally {
      setIsWorking(false);
    }
  }

  return (
    <main class="login">
      <form onSubmit={(event) => void logIn(event)}>
        <div class="brand">
          <Logo />
          {texts.product}
        </div>
        <div class="form">
          <h1>{words.title}</h1>
          <p class="muted">{words.intro}</p>
        </div>
        {remark !== undefined && (
          <p class="banner" role="status">
            {remark}
          </p>
        )}
        <Problem error={error} />
        <label class="field">
          {words.key}
          <input
            type="password"
            name="key"
            autocomplete="off"
            spellcheck={false}
            required
            value={key}
            onInput={(event) => setKey(event.currentTarget.value)}
          />
          <span class="hint">{words.keyHint}</span>
        </label>
        <button class="primary" type="submit" disabled={isWorking}>
          {isWorking ? words.working : words.submit}
        </button>
        <a class="small" href="../docs">
          {texts.common.docs}
        </a>
      </form>
    </main>
  );
}
