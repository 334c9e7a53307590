import config from "../../vitest.config.ts";

/** A run that never ends, for the test that kills it. */
export default {
  ...config,
  test: { ...config.test, include: ["test/support/endless.fixture.ts"], testTimeout: 600_000 },
};
