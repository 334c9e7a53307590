/** A run that never ends, on the servers of all runs, for the test that kills it. */
export default {
  test: {
    include: ["test/support/endless.fixture.ts"],
    globalSetup: ["test/support/global-setup.ts"],
    testTimeout: 600_000,
  },
};
