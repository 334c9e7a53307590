/** Switches that are off unless given. As defaults of their options they would clutter the help. */
export const flags = {
  allowIncomplete: false,
  check: false,
  firstNumber: false,
  ignoreHeld: false,
  json: false,
  simulate: false,
  strict: false,
};
