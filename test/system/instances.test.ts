import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { listBackends } from "../support/backends.ts";
import { eventually } from "../support/eventually.ts";
import { makeChats, openStage, toAnswers, toTruths, type Stage } from "../support/stage.ts";
import { waitForLock } from "../support/wait-for-lock.ts";

describe.each(listBackends())("instances with the queue in $name", (backend) => {
  let stage: Stage;

  beforeAll(async () => {
    stage = await openStage({ backend });
  });

  afterAll(() => stage.close());

  test("an instance is added, shown without its token, given a new token, and removed", async () => {
    const { simulator } = stage;
    expect((await stage.run(["instance", "list"])).stdout).toBe(
      "no instances yet: add one with npx avatars instance add\n",
    );
    const add = ["instance", "add", "1101000001", "--url", `${simulator.url}/`];
    const added = await stage.run([...add, "--token-stdin", "--label", "sales", "--rps", "7"], {
      stdin: "first-token\n",
    });
    expect(added).toMatchObject({ code: 0, stdout: "instance 1101000001 added\n", stderr: "" });
    const list = await stage.run(["instance", "list"]);
    expect(list.stdout).toMatch(new RegExp(`^1101000001 +active +7 +${simulator.url} +sales$`, "m"));
    expect(list.stdout).not.toContain("first-token");
    const updated = await stage.run([...add, "--token", "second-token"]);
    expect(updated).toMatchObject({ code: 0, stdout: "instance 1101000001 updated\n" });
    const [shown] = JSON.parse((await stage.run(["instance", "list", "--json"])).stdout) as object[];
    expect(shown).toEqual({
      id: "1101000001",
      apiUrl: simulator.url,
      label: "sales",
      requestsPerSecond: 7,
      quietInteractive: false,
      state: "active",
    });
    simulator.setToken("second-token", "1101000001");
    await stage.acceptChats("1101000001", makeChats(3));
    const worker = await stage.startWorker();
    await eventually(async () => expect(await stage.countPending("1101000001")).toBe(0));
    worker.child.kill("SIGTERM");
    await worker.ended;

    const refused = await stage.run(["instance", "remove", "1101000001"]);
    expect(refused).toMatchObject({ code: 2, stdout: "" });
    expect(refused.stderr).toBe(
      "avatars: instance 1101000001 has 3 contacts with their avatars: add --with-contacts to remove them too\n",
    );
    expect(await stage.readContacts("1101000001")).toHaveLength(3);
    const removed = await stage.run(["instance", "remove", "1101000001", "--with-contacts"]);
    expect(removed).toMatchObject({ code: 0, stdout: "instance 1101000001 removed with 3 contacts\n" });
    const { rows } = await stage.database.pool.query(
      `select (select count(*) from avatars.contacts) + (select count(*) from avatars.avatars)
         + (select count(*) from avatars.batches) + (select count(*) from avatars.instances) as left`,
    );
    expect(rows).toEqual([{ left: "0" }]);
    expect((await stage.run(["instance", "remove", "1101000001"])).stderr).toContain(
      "there is no instance 1101000001",
    );
  });

  test("an instance that gets its first contact while it is removed is not removed, and no contact is lost", async () => {
    const id = "1101000005";
    await stage.addInstance(id);
    const producer = await stage.database.pool.connect();
    await producer.query("begin");
    await producer.query("select avatars.enqueue($1, $2)", [id, makeChats(1)]);
    const removing = stage.run(["instance", "remove", id]);
    await waitForLock(stage.database.pool);
    await producer.query("commit");
    producer.release();
    const refused = await removing;
    expect(refused).toMatchObject({ code: 2, stdout: "" });
    expect(refused.stderr).toContain("has 1 contact with its avatar: add --with-contacts");
    expect(await stage.readContacts(id)).toHaveLength(1);
    await stage.run(["instance", "remove", id, "--with-contacts"]);
  });

  test("the operator moves an instance to another host, and its token goes along", async () => {
    const id = "1101000006";
    const token = "d75b3a66374942c5b3c019c698abc2067e";
    stage.simulator.setToken(token, id);
    await stage.run(["instance", "add", id, "--url", "http://127.0.0.1:9", "--token", token]);
    const moved = await stage.run(["instance", "set", id, "--url", stage.simulator.url]);
    expect(moved).toMatchObject({ code: 0 });
    await stage.importChats(id, makeChats(1));
    const worker = await stage.startWorker();
    await eventually(async () => expect(await stage.countPending(id)).toBe(0));
    worker.child.kill("SIGTERM");
    await worker.ended;
    expect(toAnswers(await stage.readContacts(id))).toEqual(toTruths(stage.simulator, id, makeChats(1)));
  });

  test("the instance of GREEN_API_* needs no instance add", async () => {
    const env = {
      GREEN_API_URL: stage.simulator.url,
      GREEN_API_ID_INSTANCE: "1101000003",
      GREEN_API_TOKEN: "anything",
    };
    const chats = makeChats(10);
    await stage.write("contacts.csv", chats.join("\n"));
    expect(await stage.run(["enrich", "contacts.csv"], { env })).toMatchObject({ code: 0 });
    expect(toAnswers(await stage.readContacts("1101000003"))).toEqual(
      toTruths(stage.simulator, "1101000003", chats),
    );
  });

  test("an import of priority 0 overtakes a running one of priority 1", async () => {
    const instanceId = "1101000004";
    const [many, urgent] = [makeChats(2_000, 10_000), makeChats(5, 20_000)];
    await stage.addInstance(instanceId, { rps: 100 });
    await stage.acceptChats(instanceId, many);
    const worker = await stage.startWorker();
    const readAsked = () => stage.simulator.readLog({ instanceId }).map(({ chatId }) => chatId);
    await eventually(() => expect(readAsked().length).toBeGreaterThan(20));
    await stage.importChats(instanceId, urgent, ["--priority", "0"]);
    await eventually(() => expect(readAsked()).toEqual(expect.arrayContaining(urgent)));
    const pending = await stage.countPending(instanceId);
    worker.child.kill("SIGTERM");
    expect(await worker.ended).toMatchObject({ code: 0 });
    expect(pending).toBeGreaterThan(1_000);
  });
});

describe("instance add, which no queue has a part in,", () => {
  let stage: Stage;

  beforeAll(async () => {
    stage = await openStage();
  });

  afterAll(() => stage.close());

  test("an instance of the WhatsApp Business API is added, and said to have no avatars", async () => {
    const id = "783500000112";
    const added = await stage.run(["instance", "add", id, "--url", stage.simulator.url, "--token", "a"]);
    expect(added).toMatchObject({ code: 0, stderr: "" });
    const remark =
      "is of the WhatsApp Business API, as its first digits 7835 tell: these instances have no avatars";
    expect(added.stdout).toBe(`instance ${id} added\ninstance ${id} ${remark}\n`);
    expect((await stage.run(["instance", "show", id])).stdout).toContain(`${id} ${remark}\n`);
    await stage.run(["instance", "remove", id]);
  });

  test.each([
    [["--token", "a", "--token-stdin"], "cannot go together"],
    [["--token", "two words"], '--token must be 1 to 128 letters, digits, "-" and "_"'],
    [["--token-stdin"], "the token is empty"],
    [[], "the token is missing: give it with --token T, or pipe it in with --token-stdin"],
  ])("instance add with %j is refused", async (args, message) => {
    const add = ["instance", "add", "1101000009", "--url", stage.simulator.url, ...args];
    const refused = await stage.run(add, { stdin: "\n" });
    expect(refused).toMatchObject({ code: 2, stdout: "" });
    expect(refused.stderr).toContain(message);
  });
});
