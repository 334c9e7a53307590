/** The words of the login. */
export const loginTexts = {
  title: "Log in",
  intro: "With an API key. It is exchanged for a session of 8 hours, and kept nowhere in this browser.",
  key: "API key",
  keyHint: "It begins with avk_ and is made with: avatars apikey create --scope enqueue,read",
  submit: "Log in",
  working: "Logging in…",
  ended: "Your session has ended. Log in again.",
  noCookie:
    "The browser did not keep the session: over plain HTTP it does so on this machine alone. Open the console by HTTPS.",
  logout: "Log out",
  as: (label: string) => `Logged in as ${label}`,
} as const;
