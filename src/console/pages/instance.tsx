import { useState } from "preact/hooks";
import type { Instance as InstanceSettings } from "../../client/wire.ts";
import { call } from "../data/api.ts";
import { toHash } from "../data/hash-route.ts";
import type { InstanceStatus } from "../data/live.ts";
import { useLive, useLoaded } from "../data/use-data.ts";
import { Chart } from "../parts/charts/chart.tsx";
import { Gauge } from "../parts/charts/gauge.tsx";
import { StateBadge, toNextTry } from "../parts/instance-state.tsx";
import { Facts } from "../parts/facts.tsx";
import { PageHead, Panel } from "../parts/page.tsx";
import { Loading, Problem } from "../parts/problem.tsx";
import { useToasts } from "../parts/toasts.tsx";
import { formatDuration, formatFineShare, formatMoment, formatNumber, formatRate } from "../words/format.ts";
import { texts } from "../words/texts.ts";
import { InstanceForm } from "./instance-form.tsx";

const words = texts.instance;
const { none } = texts.common;

/** One instance: how it is called, why not, and its settings. */
export function Instance({ id }: { readonly id: string }) {
  const status = useLive().instances.get(id);
  const settings = useLoaded(`instance ${id}`, (signal) =>
    call<InstanceSettings>("GET", `v1/instances/${encodeURIComponent(id)}`, { signal }),
  );
  return (
    <>
      <PageHead
        title={settings.value?.label ?? status?.label ?? id}
        crumb={
          <>
            <a href={toHash(["overview"])}>{texts.pages.overview}</a> / {id}
          </>
        }
      >
        {status && <StateBadge status={status} />}
        <Switch id={id} isPaused={(status ?? settings.value)?.state === "paused"} onDone={settings.reload} />
      </PageHead>
      <Problem error={settings.error} />
      {status?.held && <HoldBanner held={status.held} />}
      {status && <PauseBanner status={status} />}
      {status ? <Pace status={status} /> : <Loading />}
      <div class="columns">
        {status && <HowCalled status={status} settings={settings.value} />}
        {settings.value && (
          <InstanceForm key={id} settings={settings.value} status={status} onSaved={settings.reload} />
        )}
      </div>
    </>
  );
}

function Switch({
  id,
  isPaused,
  onDone,
}: {
  readonly id: string;
  readonly isPaused: boolean;
  readonly onDone: () => void;
}) {
  const toasts = useToasts();
  const [isWorking, setIsWorking] = useState(false);

  async function change(): Promise<void> {
    setIsWorking(true);
    try {
      await call("POST", `v1/instances/${encodeURIComponent(id)}/${isPaused ? "resume" : "pause"}`);
      toasts.say(isPaused ? words.resumed : words.pausedNow);
      onDone();
    } catch (error) {
      toasts.complain(error);
    } finally {
      setIsWorking(false);
    }
  }

  return (
    <button
      type="button"
      class={isPaused ? "primary" : ""}
      disabled={isWorking}
      onClick={() => void change()}
    >
      {isPaused ? words.resume : words.pause}
    </button>
  );
}

function HoldBanner({ held }: { readonly held: NonNullable<InstanceStatus["held"]> }) {
  return (
    <p class="banner bad">
      <span>
        <strong>{words.heldBecause(held.text)}</strong>{" "}
        {held.advice !== null && `${texts.overview.person}: ${held.advice}. `}
        {held.until !== null && `${toNextTry(held.until)}.`}
      </span>
    </p>
  );
}

/** The pause that its care makes: it ends by itself. */
function PauseBanner({ status: { state, carePause } }: { readonly status: InstanceStatus }) {
  if (state !== "active" || carePause === null) return null;
  return (
    <p class="banner">
      <span>
        <strong>{texts.care.pauses[carePause.reason]}</strong>{" "}
        {texts.care.until(formatMoment(carePause.until))}
      </span>
    </p>
  );
}

const spanS = 5;

function Pace({ status }: { readonly status: InstanceStatus }) {
  const { history, requestsPerSecond, callsAllowed } = status;
  const nowS = Math.floor(Date.now() / 1000);
  const times = history.map((_, index) => nowS - (history.length - 1 - index) * spanS);
  const even = (value: number) => history.map(() => value);
  return (
    <Panel title={words.pace}>
      <div class="body">
        <Gauge {...status} />
        {history.some((calls) => calls > 0) ? (
          <Chart
            label={texts.overview.spark(formatRate(Math.min(...history)), formatRate(Math.max(...history)))}
            times={times}
            lines={[
              { name: words.calls, values: history, color: "--accent", isFilled: true },
              { name: words.allowed, values: even(callsAllowed), color: "--warn", isDashed: true },
              { name: words.budget, values: even(requestsPerSecond), color: "--line-strong", isDashed: true },
            ]}
          />
        ) : (
          <p class="muted">{words.noCalls}</p>
        )}
      </div>
    </Panel>
  );
}

function HowCalled({
  status,
  settings,
}: {
  readonly status: InstanceStatus;
  readonly settings: InstanceSettings | undefined;
}) {
  const refused = status.recentCalls > 0 ? status.recentThrottled / status.recentCalls : 0;
  const facts: [string, string][] = [
    [words.waiting, status.due === null ? none : formatNumber(status.due)],
    [words.backoff, status.waiting === null ? none : formatNumber(status.waiting)],
    [
      texts.overview.columns.oldest,
      status.oldestDueSeconds === null ? none : formatDuration(status.oldestDueSeconds),
    ],
    [texts.overview.columns.eta, status.etaSeconds === null ? none : formatDuration(status.etaSeconds)],
    [words.allowed, words.perSecond(formatRate(status.callsAllowed))],
    [words.margin, `${formatNumber(status.marginMs)} ms`],
    [
      words.refusals,
      words.refused(
        formatNumber(status.recentThrottled),
        formatNumber(status.recentCalls),
        formatFineShare(refused),
      ),
    ],
    [words.latency, status.latencyMs === null ? none : `${formatNumber(status.latencyMs)} ms`],
    [words.inFlight, formatNumber(status.inFlight)],
    [words.workers, formatNumber(status.workers)],
    [
      words.probe,
      status.stateSeen === null || status.stateSeenAt === null
        ? none
        : `${status.stateSeen}, ${formatMoment(status.stateSeenAt)}`,
    ],
    [texts.care.today, settings ? toCallsToday(settings) : none],
    [words.url, settings?.apiUrl ?? none],
  ];
  return (
    <Panel title={words.facts}>
      <div class="body">
        <Facts facts={facts} />
        <div class="actions">
          <a class="button" href={toHash(["batches"], { instance: status.instanceId })}>
            {texts.pages.batches}
          </a>
          <a class="button" href={toHash(["nights"], { instance: status.instanceId })}>
            {texts.pages.nights}
          </a>
        </div>
      </div>
    </Panel>
  );
}

function toCallsToday({ callsPerDay, callsToday }: InstanceSettings): string {
  if (callsPerDay === null) return texts.care.noCap;
  return `${formatNumber(callsToday ?? 0)} / ${formatNumber(callsPerDay)}`;
}
