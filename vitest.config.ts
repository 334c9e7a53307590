import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: ["test/support/global-setup.ts"],
    // Two cores: more workers than that only make the servers under test slower.
    maxWorkers: 2,
    // A ceiling against hangs, not a measurement.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    reporters: process.env["CI"] ? ["default"] : ["default"],
  },
});
