import { defineConfig } from "vitest/config";
import { FolderSequencer } from "./test/support/folder-sequencer.ts";

/** A ceiling against hangs, not a measurement. */
const ceilingMs = 300_000;

/** What all projects share. Files of one worker share their modules too: loading them costs more than most files do. */
const shared = { isolate: false, testTimeout: ceilingMs, hookTimeout: ceilingMs };
/** Postgres and Redis for all files of a run. */
const globalSetup = ["test/support/global-setup.ts"];

export default defineConfig({
  test: {
    // More than the two cores of a small machine: a file that works with processes mostly waits for them.
    maxWorkers: 4,
    sequence: { sequencer: FolderSequencer },
    projects: [
      { test: { ...shared, name: "unit", include: ["test/unit/**/*.test.ts"] } },
      {
        test: {
          ...shared,
          name: "services",
          include: ["test/{integration,system}/**/*.test.ts"],
          globalSetup,
        },
      },
      {
        test: {
          ...shared,
          name: "long",
          include: ["test/long/**/*.test.ts"],
          globalSetup,
          // Two at a time: some of them compare a pace with what a provider allows, and a crowd makes it uneven.
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
