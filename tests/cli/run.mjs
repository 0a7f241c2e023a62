// run: the command line against a real server. `--only TEXT` runs the tests with TEXT in their name.
//
//   SLUICE_BIN=build/sluice node tests/cli/run.mjs

import { runTests } from '../lib/runner.mjs'
import { slowness } from '../lib/server.mjs'
import { tests as access } from './access.mjs'
import { tests as help } from './help.mjs'
import { tests as interrupting } from './interrupting.mjs'
import { tests as pulling } from './pulling.mjs'
import { tests as pushing } from './pushing.mjs'
import { tests as terminal } from './terminal.mjs'

await runTests([...pushing, ...pulling, ...access, ...interrupting, ...terminal, ...help], { slowness })
