import type { Command } from "commander";
import { flags } from "../flags.ts";
import type { CommandIo, SetExitCode } from "../terminal/io.ts";

/** `avatars images` */
export function addImagesCommands(program: Command, io: CommandIo, setExitCode: SetExitCode): void {
  const images = program.command("images").description("Pictures that are kept: see AVATARS_IMAGES.");
  images
    .command("check")
    .description("Hold rows and bytes against each other.")
    .option("--repair", "take missing pictures again, and remove bytes that nothing shows")
    .option("--json", "as JSON on standard output")
    .addHelpText(
      "after",
      `
Exit codes: 0 all is well, or was mended; 1 something is wrong, and was left as it is; 2 wrong usage or settings.

Examples:
  avatars images check
  avatars images check --repair`,
    )
    .action(async (options) => {
      const { checkKeptImages } = await import("./check-kept-images.ts");
      setExitCode(await checkKeptImages({ ...flags, repair: false, ...options }, io));
    });
}
