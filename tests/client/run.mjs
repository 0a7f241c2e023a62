// The client against servers: fakes that misbehave, Sluice, and the reference backend.
//
//     node tests/client/run.mjs [--only TEXT] [--seed N]
//
// SLUICE_BUILD names the build folder whose client_driver and sluice are used, by default build.
// SLUICE_REFERENCE=no leaves the reference backend out; else first: npm --prefix tests/reference ci

import { runTests } from '../lib/runner.mjs'
import { tests as http } from './http.mjs'
import { tests as network } from './network.mjs'
import { tests as pulls } from './pulls.mjs'
import { tests as pushes } from './pushes.mjs'
import { referenceTests, sluiceTests } from './servers.mjs'

// They mostly wait, so several run at once; the slowest first.
const servers = [...(process.env.SLUICE_REFERENCE === 'no' ? [] : referenceTests), ...sluiceTests]
await runTests([...servers, ...network, ...http, ...pushes, ...pulls], { atOnce: 4 })
