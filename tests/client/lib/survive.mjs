// The one story that most tests tell: a server misbehaves for a while, and its client ends with
// everything all the same, each event once and in order, and hears nothing of it.

import { checkEvents, startDriver } from './driver.mjs'
import { makeEvents, startFakeServer } from './fake_server.mjs'

/**
 * A client that follows a log of `count` events, then pushes two more. `hooks` misbehave. Resolves to
 * `{ server, driver }` for more questions.
 */
export const survive = async (t, { hooks = {}, transport = 'ws', count = 5, options = {}, server: more = {}, after } = {}) => {
  const server = await startFakeServer(t, { hooks, log: makeEvents(count), ...more })
  const driver = await startDriver(t, server[transport], 'store', options)
  driver.do('pull 1 0 live')
  await driver.until(`${count} events`, () => driver.events(1).length >= count)
  await after?.({ server, driver })
  driver.do(`push ${count + 1} 2 ${count} 10`)
  const pushed = await driver.told('pushed')
  if (pushed.status !== 'OK' || pushed.count !== 2) throw new Error(`the push: ${JSON.stringify(pushed)}`)
  await driver.until(`${count + 2} events`, () => driver.events(1).length >= count + 2)
  checkEvents(driver.events(1), count + 2)
  checkEvents(server.log, count + 2)
  if (driver.all('ended').length > 0) throw new Error(`the live pull has ended:\n${driver.tail()}`)
  return { server, driver }
}

/** A hook that does `fault` for the first `times` messages of a kind, and then what is right. */
export const first = (tag, fault, times = 1) => {
  let left = times
  return (conn, message) => {
    if (!(message.tag ?? message._tag).endsWith(tag) || left === 0) return false
    left -= 1
    fault(conn, message)
    return true
  }
}
