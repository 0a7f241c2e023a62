// The reference backend as its documentation sets it up: one durable object a store, nothing configured.

import { makeDurableObject, makeWorker } from '@livestore/sync-cf/cf-worker'

export class SyncBackend extends makeDurableObject() {}

export default makeWorker({ syncBackendBinding: 'SYNC_BACKEND', enableCORS: true })
