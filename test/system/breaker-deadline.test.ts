import { afterAll, beforeAll, describe } from "vitest";
import { listBackends } from "../support/backends.ts";
import { openLives, run, runAtOnce, testLives, type Cause, type Lives } from "../support/trouble-lives.ts";
import { openTroubleStage, type TroubleStage } from "../support/trouble-stage.ts";

/** Apart from other troubles: on a busy machine an answer of theirs may take longer than so short a deadline. */
const causes: Cause[] = [
  {
    name: "a provider that does not answer in time",
    reason: "timing-out",
    settings: runAtOnce,
    signs: 2 * run,
    isAsked: true,
    begin: (stage, id) => stage.answerAll(id, "stall", ["getAvatar"]),
  },
];

describe.each(listBackends())("the breaker with the queue in $name and a short deadline", (backend) => {
  let stage: TroubleStage;
  let lives: Lives;

  beforeAll(async () => {
    stage = await openTroubleStage({ backend, env: { AVATARS_CALL_TIMEOUT_MS: "1500" } });
    lives = await openLives(stage, causes);
  });

  afterAll(async () => {
    await lives.end();
    await stage.close();
  });

  testLives(causes, () => lives);
});
