// Schemas with a name stand in the document in the order in which these modules are loaded.
import { addCreateBatch } from "./routes/batches/create-batch.ts";
import { addBatchResults } from "./routes/batches/batch-results.ts";
import { addCancelBatch } from "./routes/batches/cancel-batch.ts";
import { addGetBatch } from "./routes/batches/get-batch.ts";
import { addListBatchItems } from "./routes/batches/list-batch-items.ts";
import { addListBatches } from "./routes/batches/list-batches.ts";
import { addRetryBatch } from "./routes/batches/retry-batch.ts";
import { addWatchBatch } from "./routes/batches/watch-batch.ts";
import { addFrontRoute } from "./routes/front.ts";
import { addListChanges } from "./routes/changes.ts";
import { addEraseContact } from "./routes/contacts/erase-contact.ts";
import { addGetContact } from "./routes/contacts/get-contact.ts";
import { addGetContactHistory } from "./routes/contacts/get-contact-history.ts";
import { addLookupContacts } from "./routes/contacts/lookup-contacts.ts";
import { addRefreshContact } from "./routes/contacts/refresh-contact.ts";
import { addAddInstance } from "./routes/instances/add-instance.ts";
import { addChangeInstance } from "./routes/instances/change-instance.ts";
import { addGetInstance } from "./routes/instances/get-instance.ts";
import { addListInstances } from "./routes/instances/list-instances.ts";
import { addPauseInstance } from "./routes/instances/pause-instance.ts";
import { addResumeInstance } from "./routes/instances/resume-instance.ts";
import { addGetResyncPlan, addListResyncRuns } from "./routes/resync.ts";
import { addGetHealth, addGetMetrics, addGetReadiness } from "./routes/service.ts";
import { addRemoveInstance } from "./routes/instances/remove-instance.ts";
import type { ApiContext, ZodApi } from "./context/api-context.ts";

/** Adds all endpoints, in the order in which the document has them. */
export function addRoutes(api: ZodApi, context: ApiContext): void {
  addFrontRoute(api);
  addGetHealth(api);
  addGetReadiness(api, context);
  addGetMetrics(api, context);
  addListBatches(api, context);
  addGetBatch(api, context);
  addListBatchItems(api, context);
  addCancelBatch(api, context);
  addRetryBatch(api, context);
  addCreateBatch(api, context);
  addBatchResults(api, context);
  addWatchBatch(api, context);
  addGetContact(api, context);
  addGetContactHistory(api, context);
  addRefreshContact(api, context);
  addEraseContact(api, context);
  addLookupContacts(api, context);
  addListChanges(api, context);
  addListInstances(api, context);
  addGetInstance(api, context);
  addAddInstance(api, context);
  addChangeInstance(api, context);
  addPauseInstance(api, context);
  addResumeInstance(api, context);
  addRemoveInstance(api, context);
  addGetResyncPlan(api, context);
  addListResyncRuns(api, context);
}
