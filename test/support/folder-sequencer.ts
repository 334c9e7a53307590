import { BaseSequencer, type TestSpecification } from "vitest/node";

/** The longest first, so that short files fill the gaps at the end; and those of one project side by side. */
const folders = ["long", "system", "integration", "unit"];

/** Sorts files by their folder, and within one as vitest does: by time taken before, or else by size. */
export class FolderSequencer extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    return sorted.toSorted((a, b) => toRank(a) - toRank(b));
  }
}

function toRank({ moduleId }: TestSpecification): number {
  return folders.findIndex((folder) => moduleId.includes(`/test/${folder}/`));
}
