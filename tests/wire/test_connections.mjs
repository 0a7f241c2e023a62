// Connections in time: those that say nothing, or too slowly, or the wrong thing for too long, and the
// end of the server.
import assert from 'node:assert/strict'
import net from 'node:net'
import test from 'node:test'
import { HttpClient, buildRequest, syncTarget } from './lib/http.mjs'
import { startServer, temporaryDirectory, withServer } from './lib/server.mjs'
import {
  Bystander,
  SyncSocket,
  chain,
  eventText,
  pullOverHttp,
  pullPayload,
  pushOverHttp,
  pushPayload,
  readAnswer,
  requestText,
} from './lib/sync.mjs'
import { pause } from './lib/wire.mjs'

const QUIET = { 'log-level': 'error' }
const range = (from, to) => Array.from({ length: to - from + 1 }, (_, i) => from + i)
const PING = requestText(1, 'SyncHttpRpc.Ping', '{"storeId":"s"}')
const pingRequest = buildRequest('POST', syncTarget('s'), { body: PING })
const bigArgs = JSON.stringify('x'.repeat(1_000_000))

async function fill(server, storeId, count) {
  for (let seq = 1; seq <= count; seq++) {
    assert.ok((await pushOverHttp(server, storeId, [eventText({ seq, args: bigArgs })])).exit.ok)
  }
}

// ---- a client that believes its old pull still runs ----

const SILENT = { ...QUIET, 'silent-connection-timeout': '300ms' }

const isToldToPull = async (socket) => {
  const { code, reason } = await socket.untilClosed()
  assert.equal(code, 1013)
  assert.match(reason, /pull/i)
}

test('a socket without a Pull is closed, whatever else it says', async () => {
  await withServer(SILENT, async (server) => {
    const says = {
      nothing: () => {},
      pings: (socket) => socket.send('{"_tag":"Ping"}'),
      'control pings': (socket) => socket.ws.sendFrame(9, 'x'),
      pushes: (socket, i) => socket.push([eventText({ seq: i + 1 })]),
      'bad pulls': (socket) => socket.request('SyncWsRpc.Pull', '{}'),
      garbage: (socket) => socket.send('{'),
    }
    const sockets = await Promise.all(
      Object.keys(says).map((name) => SyncSocket.open(server, `silent-${name}`)),
    )
    let i = 0
    const talking = setInterval(() => {
      Object.values(says).forEach((say, at) => say(sockets[at], i))
      i++
    }, 20)
    const started = Date.now()
    await Promise.all(sockets.map(isToldToPull))
    clearInterval(talking)
    assert.ok(Date.now() - started >= 200, 'not before its time')
    const pushes = sockets[3]
    const answered = pushes.log.filter(({ kind }) => kind === 'Exit').length
    assert.ok(answered > 0, 'pushes were answered until then')
  })
})

test('a socket that has pulled is not closed, be the pull live or over', async () => {
  await withServer(SILENT, async (server) => {
    const live = await SyncSocket.open(server, 'pulled', { dialect: 'v3' })
    const pull = live.pull()
    const once = await SyncSocket.open(server, 'pulled')
    assert.ok((await once.pull({ live: false }).done()).ok)
    const interrupted = await SyncSocket.open(server, 'pulled')
    interrupted.interrupt(interrupted.pull().id)
    const late = await SyncSocket.open(server, 'pulled')
    await pause(100)
    const latePull = late.pull()
    for (let i = 0; i < 2; i++) {
      await isToldToPull(await SyncSocket.open(server, 'silent')) // a time-out has passed, twice
    }
    for (const socket of [live, once, interrupted, late]) {
      await socket.ping()
    }
    assert.ok((await once.push([eventText({ seq: 1 })]).done()).ok)
    await pull.untilEvent(1)
    await latePull.untilEvent(1)
    for (const socket of [live, once, interrupted, late]) {
      socket.close()
    }
  })
})

test('ServerAhead on a socket that never pulled closes it soon: only a pull can help that client', async () => {
  await withServer(QUIET, async (server) => {
    await pushOverHttp(server, 'ahead', chain(0, 2))
    const socket = await SyncSocket.open(server, 'ahead')
    const { error } = await socket.push([eventText({ seq: 1, client: 'x' })]).done()
    assert.equal(error._tag, 'ServerAheadError')
    await isToldToPull(socket)
  })
})

test('an Ack or Interrupt of an id that the socket never had closes it', async () => {
  await withServer(QUIET, async (server) => {
    const bystander = await Bystander.open(server)
    for (const dialect of ['v3', 'v4']) {
      for (const how of ['acknowledge', 'interrupt']) {
        for (const before of ['nothing', 'a pull', 'a push']) {
          const socket = await SyncSocket.open(server, 'strange', { dialect })
          if (before === 'a pull') {
            const pull = socket.pull()
            await pull.until(() => pull.caughtUp)
          } else if (before === 'a push') {
            await socket.push([]).done()
          }
          socket[how](dialect === 'v3' ? '77' : 77)
          await isToldToPull(socket)
        }
      }
    }
    for (const id of ['abc', '', '1e3', -1, 1.5]) {
      const socket = await SyncSocket.open(server, 'strange')
      socket.acknowledge(id)
      await isToldToPull(socket)
    }
    await bystander.check()
    bystander.close()
  })
})

test('an Ack or Interrupt of any id that the socket had is normal', async () => {
  await withServer(QUIET, async (server) => {
    const socket = await SyncSocket.open(server, 'known')
    const ids = ['abc', '', 'x'.repeat(100), 1, '2', 3, 1.5, -4]
    for (const id of ids) {
      assert.ok((await socket.push([], { id }).done()).ok)
    }
    for (const id of ids) {
      socket.acknowledge(id)
      socket.interrupt(id)
    }
    await socket.ping()
    socket.close()
  })
})

// ---- time-outs of HTTP ----

const isTimedOut = async (client, pattern) => {
  const response = await client.response()
  assert.equal(response.status, 408)
  assert.match(response.text, pattern)
  await client.wire.untilClosed()
}

// Sends a byte at a time until the connection closes.
async function drip(client, bytes) {
  for (const byte of bytes) {
    if (client.wire.closed || client.wire.peerEnded) {
      return
    }
    client.wire.write(Buffer.from([byte]))
    await pause(20)
  }
}

test('a head that comes too slowly is refused, and so is a body', async () => {
  await withServer({ ...QUIET, 'head-timeout': '300ms', 'body-timeout': '400ms' }, async (server) => {
    const bystander = await Bystander.open(server)
    const slowHead = await HttpClient.connect(server)
    const slowBody = await HttpClient.connect(server)
    const slowChunks = await HttpClient.connect(server)
    const stuck = await HttpClient.connect(server)
    const second = await HttpClient.connect(server)
    const target = syncTarget('slow')
    slowBody.send('POST', target, { headers: { 'content-length': 5000 } })
    slowChunks.send('POST', target, { headers: { 'transfer-encoding': 'chunked' } })
    stuck.wire.write('GET / HT')
    second.wire.write(Buffer.concat([pingRequest, Buffer.from('POST /')]))
    const dripping = [
      drip(slowHead, buildRequest('GET', '/', { headers: { x: 'y'.repeat(3000) } })),
      drip(slowBody, Buffer.alloc(5000, 0x20)),
      drip(slowChunks, Buffer.from('1\r\nx\r\n'.repeat(1000))),
    ]
    await Promise.all([
      isTimedOut(slowHead, /head/),
      isTimedOut(slowBody, /body/),
      isTimedOut(slowChunks, /body/),
      isTimedOut(stuck, /head/),
      second.response().then(() => isTimedOut(second, /head/)),
      ...dripping,
    ])
    await bystander.check()
    bystander.close()
  })
})

test('an idle connection is closed without a word', async () => {
  await withServer({ ...QUIET, 'idle-timeout': '300ms' }, async (server) => {
    const bystander = await Bystander.open(server)
    const never = await HttpClient.connect(server)
    const used = await HttpClient.connect(server)
    assert.equal((await used.ask('GET', '/')).status, 200)
    const started = Date.now()
    for (const client of [never, used]) {
      await client.wire.untilClosed()
      assert.equal(client.wire.bytes.length, 0)
      assert.equal(client.wire.error, null, 'an orderly end')
    }
    assert.ok(Date.now() - started >= 100)
    await bystander.check() // a WebSocket is not idle in that sense
    bystander.close()
  })
})

test('requests in time keep a connection open', async () => {
  await withServer({ ...QUIET, 'idle-timeout': '300ms', 'head-timeout': '300ms' }, async (server) => {
    const client = await HttpClient.connect(server)
    for (let i = 0; i < 6; i++) {
      client.wire.write(pingRequest)
      assert.equal((await client.response()).status, 200)
      await pause(120)
    }
    client.close()
  })
})

test('idle time begins when the answer has been given, not when it was asked for', async () => {
  await withServer({ ...QUIET, 'idle-timeout': '1200ms' }, async (server) => {
    await fill(server, 'big', 16)
    const client = await HttpClient.connect(server)
    const body = requestText(1, 'SyncHttpRpc.Pull', pullPayload('big'))
    client.send('POST', syncTarget('big'), { body })
    await client.wire.until(() => client.wire.bytes.length > 1_000_000, 'the first pages')
    client.wire.socket.pause()
    await pause(1400)
    client.wire.socket.resume()
    const response = await client.response()
    await pause(50)
    client.wire.write(pingRequest)
    assert.equal((await client.response()).status, 200)
    assert.deepEqual(readAnswer(response).chunks.seqs, range(1, 16))
    client.close()
  })
})

test('a client that reads slowly but steadily is not taken for one that has stopped', async () => {
  await withServer({ ...QUIET, 'stall-timeout': '400ms' }, async (server) => {
    await fill(server, 'slow', 40)
    const client = await HttpClient.connect(server)
    const body = requestText(1, 'SyncHttpRpc.Pull', pullPayload('slow'))
    client.send('POST', syncTarget('slow'), { body })
    const { wire } = client
    for (let taken = 0; taken < 4_000_000 && !wire.closed; taken = wire.bytes.length) {
      await wire.until(() => wire.closed || wire.bytes.length > taken, 'more of the answer')
      wire.socket.pause()
      await pause(50)
      wire.socket.resume()
    }
    assert.deepEqual(readAnswer(await client.response()).chunks.seqs, range(1, 40))
    client.close()
  })
})

test('a server that was frozen hears its clients before it judges their silence', async () => {
  const flags = { ...QUIET, 'idle-timeout': '300ms', 'head-timeout': '300ms', 'ping-interval': '100ms' }
  await withServer(flags, async (server) => {
    for (let round = 0; round < 2; round++) {
      const http = await HttpClient.connect(server)
      const halfAsked = await HttpClient.connect(server)
      assert.equal((await http.ask('GET', '/')).status, 200)
      halfAsked.wire.write(pingRequest.subarray(0, 30))
      const socket = await SyncSocket.open(server, 'frozen')
      const pull = socket.pull()
      await pull.until(() => pull.caughtUp)
      server.signal('SIGSTOP')
      http.wire.write(pingRequest)
      halfAsked.wire.write(pingRequest.subarray(30))
      socket.send('{"_tag":"Ping"}')
      const push = socket.push([eventText({ seq: round + 1 })])
      await pause(500)
      server.signal('SIGCONT')
      assert.equal((await http.response()).status, 200)
      assert.equal((await halfAsked.response()).status, 200)
      assert.ok((await push.done()).ok)
      await pull.untilEvent(round + 1)
      http.close()
      halfAsked.close()
      socket.close()
    }
  })
})

// ---- the end of the server ----

test('SIGTERM: WebSockets get 1012 and no Exit, idle connections their end, new ones nothing', async () => {
  for (const signal of ['SIGTERM', 'SIGINT']) {
    const server = await startServer(QUIET)
    const sockets = []
    for (const dialect of ['v3', 'v4']) {
      const socket = await SyncSocket.open(server, 'end', { dialect })
      const pull = socket.pull()
      await pull.until(() => pull.caughtUp)
      sockets.push([socket, pull])
    }
    const idle = await HttpClient.connect(server)
    assert.equal((await idle.ask('GET', '/')).status, 200)
    server.signal(signal)
    for (const [socket, pull] of sockets) {
      const { code, reason } = await socket.untilClosed()
      assert.equal(code, 1012)
      assert.match(reason, /restart/)
      assert.equal(pull.exit, null, 'an Exit would end the pulling for good')
      socket.close()
    }
    await idle.wire.untilClosed()
    assert.deepEqual(await server.exited, { code: 0, signal: null })
    await assert.rejects(HttpClient.connect(server), /ECONNREFUSED/)
    server.assertCalm()
  }
})

test('SIGTERM: pushes under way are committed and answered, or neither', async () => {
  for (let round = 0; round < 8; round++) {
    const data = temporaryDirectory()
    const server = await startServer(QUIET, { data })
    const live = await SyncSocket.open(server, 'end')
    const pull = live.pull()
    await pull.until(() => pull.caughtUp)
    const pusher = await SyncSocket.open(server, 'end')
    const pushes = range(1, 200).map((seq) => pusher.push([eventText({ seq })]))
    await pushes[round * 5].done()
    server.signal('SIGTERM')
    const { code } = await pusher.untilClosed()
    assert.equal(code, 1012)
    await live.untilClosed()
    assert.equal((await server.exited).code, 0)
    server.assertCalm()
    const acknowledged = pushes.filter(({ exit }) => exit?.ok).length
    assert.ok(pushes.every(({ exit }, i) => (i < acknowledged ? exit?.ok : exit === null)))
    const again = await startServer(QUIET, { data })
    const { seqs } = (await pullOverHttp(again, 'end')).chunks
    assert.deepEqual(seqs, range(1, acknowledged), 'what is in the log was acknowledged')
    await again.stop()
  }
})

test('SIGTERM: requests over HTTP under way are answered, and are the last', async () => {
  const server = await startServer(QUIET)
  await fill(server, 'big', 16)
  const puller = await HttpClient.connect(server)
  puller.send('POST', syncTarget('big'), { body: requestText(1, 'SyncHttpRpc.Pull', pullPayload('big')) })
  await puller.wire.until(() => puller.wire.bytes.length > 1_000_000, 'the first pages')
  puller.wire.socket.pause()
  const pusher = await HttpClient.connect(server)
  const push = requestText(2, 'SyncHttpRpc.Push', pushPayload('s', [eventText({ seq: 1, args: bigArgs })]))
  const request = buildRequest('POST', syncTarget('s'), { headers: { expect: '100-continue' }, body: push })
  pusher.wire.write(request.subarray(0, -1000))
  assert.equal((await pusher.response()).status, 100) // it has been heard
  server.signal('SIGTERM')
  await pause(100)
  pusher.wire.write(Buffer.concat([request.subarray(-1000), pingRequest]))
  puller.wire.socket.resume()
  assert.ok(readAnswer(await pusher.response()).exit.ok)
  assert.deepEqual(readAnswer(await puller.response()).chunks.seqs, range(1, 16))
  await pusher.wire.untilClosed()
  await puller.wire.untilClosed()
  assert.equal(pusher.wire.bytes.length, 0, 'no answer to what came after')
  assert.deepEqual(await server.exited, { code: 0, signal: null })
  server.assertCalm()
})

test('SIGTERM: peers that do not end are cut after --drain-timeout', async () => {
  const server = await startServer({ ...QUIET, 'drain-timeout': '300ms' })
  await fill(server, 'big', 16)
  const deaf = await HttpClient.connect(server)
  deaf.wire.socket.pause()
  deaf.send('POST', syncTarget('big'), { body: requestText(1, 'SyncHttpRpc.Pull', pullPayload('big')) })
  const half = await HttpClient.connect(server)
  half.wire.write('GET / HT')
  const witness = await Bystander.open(server)
  await witness.check()
  server.signal('SIGTERM')
  const started = Date.now()
  assert.deepEqual(await server.exited, { code: 0, signal: null })
  assert.ok(Date.now() - started < 2500, `${Date.now() - started} ms`)
  server.assertCalm()
  for (const client of [deaf, half]) {
    client.close()
  }
  witness.close()
})

test('a second signal ends the server at once', async () => {
  const server = await startServer(QUIET)
  await fill(server, 'big', 16)
  const deaf = await HttpClient.connect(server)
  deaf.wire.socket.pause()
  deaf.send('POST', syncTarget('big'), { body: requestText(1, 'SyncHttpRpc.Pull', pullPayload('big')) })
  const idle = await SyncSocket.open(server, 'end')
  server.signal('SIGTERM')
  await idle.untilClosed() // the first has been heard
  server.signal('SIGTERM')
  const { code } = await server.exited
  assert.equal(code, 128 + 15)
  deaf.close()
  idle.close()
})

test('a thousand connections that come and go leave nothing behind', async () => {
  await withServer(QUIET, async (server) => {
    const bystander = await Bystander.open(server)
    for (let round = 0; round < 10; round++) {
      const sockets = []
      for (let i = 0; i < 100; i++) {
        sockets.push(net.connect({ port: server.port, host: '127.0.0.1' }))
      }
      await Promise.all(sockets.map((socket) => new Promise((resolve) => socket.once('connect', resolve))))
      sockets.forEach((socket, i) => {
        socket.on('error', () => {})
        socket.write(pingRequest.subarray(0, i * 2))
        if (i % 2) {
          socket.destroy()
        } else {
          socket.end()
          socket.resume()
        }
      })
      await bystander.check()
    }
    bystander.close()
  })
})
