import type { IncomingMessage } from "node:http";
import type { SimulatorControl } from "./control/control.ts";
import { Input, omitUndefined } from "./control/control-input.ts";
import {
  parsePictureFaults,
  parsePictureScript,
  parsePictureTarget,
  parsePictureTuning,
} from "./control/picture-input.ts";
import { getPictureOutcome, pictureOutcomeNames } from "./outcomes/picture-outcomes.ts";
import type { PictureLogFilter } from "./world/picture-log.ts";

/** Carries out one order; `body` is the JSON that came with it, or the query for GET and DELETE. */
export type Order = (control: SimulatorControl, body: unknown, request: IncomingMessage) => unknown;

export const defaultLogLimit = 10_000;

/** The orders about pictures. */
export const pictureOrders: Readonly<Record<string, Order>> = {
  "GET /picture-outcomes": listOutcomes,
  "PUT /picture-scripts": (control, body) => control.scriptPictures(parsePictureScript(body)),
  "DELETE /picture-scripts": (control, query) => control.clearPictureScripts(parsePictureTarget(query)),
  "PUT /picture-faults": setFaults,
  "PUT /pictures": (control, body) => control.setPictures(parsePictureTuning(body)),
  "GET /picture": readPicture,
  "GET /picture-log": readLog,
  "GET /picture-counts": (control, query) => control.countPictures(parsePictureTarget(query)),
};

function listOutcomes() {
  return pictureOutcomeNames.map((name) => {
    const { digits, means } = getPictureOutcome(name);
    return { name, digits, means };
  });
}

function setFaults(control: SimulatorControl, body: unknown): void {
  control.setPictureFaults(parsePictureFaults(new Input(body, ["faults"]).get("faults")));
}

function readPicture(control: SimulatorControl, query: unknown) {
  const input = new Input(query, ["instanceId", "chatId"], "the query");
  return { picture: control.picture(input.getText("instanceId"), input.getText("chatId")) ?? null };
}

function readLog(control: SimulatorControl, query: unknown) {
  const keys = ["chatId", "version", "outcome", "status", "fromIndex", "limit"];
  const input = new Input(query, keys, "the query");
  const filter = {
    chatId: input.findText("chatId"),
    version: input.findText("version"),
    outcome: input.findText("outcome"),
    status: input.findDigits("status"),
    fromIndex: input.findDigits("fromIndex"),
    limit: input.findDigits("limit") ?? defaultLogLimit,
  };
  return control.readPictureLog(omitUndefined(filter) satisfies PictureLogFilter);
}
