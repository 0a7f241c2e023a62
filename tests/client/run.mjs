// The client against servers: fakes that misbehave, Sluice, and the reference backend.
//
//     node tests/client/run.mjs [--only TEXT] [--seed N]
//
// SLUICE_BUILD names the build folder whose client_driver and sluice are used, by default build.

import { runTests } from '../lib/runner.mjs'
import { tests as http } from './http.mjs'
import { tests as network } from './network.mjs'
import { tests as pulls } from './pulls.mjs'
import { tests as pushes } from './pushes.mjs'
import { tests as servers } from './servers.mjs'

await runTests([...pulls, ...pushes, ...http, ...network, ...servers])
