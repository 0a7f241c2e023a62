// A WebSocket client as small as the tests need it: RFC 6455 over node:net, nothing from npm.
//
// It gives what a library hides: reading that can be stopped while the connection stays, frames that
// end in the middle, an end without a goodbye. Messages come as Buffers; who wants text decodes it.

import { createHash, randomBytes } from 'node:crypto'
import net from 'node:net'

const acceptGuid = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
const opcodes = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 }
const none = Buffer.alloc(0)

/** The bytes of one client frame: masked, as RFC 6455 section 5.3 wants it. */
export const encodeFrame = (payload, { opcode = opcodes.text, fin = true } = {}) => {
  const body = Buffer.from(payload)
  const mask = randomBytes(4)
  const lengthBytes = body.length < 126 ? 0 : body.length < 65536 ? 2 : 8
  const frame = Buffer.alloc(2 + lengthBytes + 4 + body.length)
  frame[0] = (fin ? 0x80 : 0) | opcode
  frame[1] = 0x80 | (lengthBytes === 0 ? body.length : lengthBytes === 2 ? 126 : 127)
  if (lengthBytes === 2) frame.writeUInt16BE(body.length, 2)
  if (lengthBytes === 8) frame.writeBigUInt64BE(BigInt(body.length), 2)
  mask.copy(frame, 2 + lengthBytes)
  const start = 6 + lengthBytes
  for (let i = 0; i < body.length; i++) frame[start + i] = body[i] ^ mask[i & 3]
  return frame
}

/** The bytes that open a WebSocket, and the answer to its key. */
export const encodeHandshake = ({ host, path, headers = {} }) => {
  const key = randomBytes(16).toString('base64')
  const lines = [
    `GET ${path} HTTP/1.1`,
    `Host: ${host}`,
    'Upgrade: websocket',
    'Connection: Upgrade',
    `Sec-WebSocket-Key: ${key}`,
    'Sec-WebSocket-Version: 13',
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
  ]
  const accept = createHash('sha1').update(key + acceptGuid).digest('base64')
  return { bytes: Buffer.from(lines.join('\r\n') + '\r\n\r\n', 'latin1'), accept }
}

/** Bytes that came and were not used yet, without a copy for each piece that comes. */
class Inbox {
  pieces = []
  bytes = 0

  add(piece) {
    this.pieces.push(piece)
    this.bytes += piece.length
  }

  /** The next `count` bytes without taking them, or undefined while they have not all come. */
  peek(count) {
    if (this.bytes < count) return undefined
    if (this.pieces[0].length < count) this.pieces = [Buffer.concat(this.pieces)]
    return this.pieces[0].subarray(0, count)
  }

  take(count) {
    if (count === 0) return none
    const taken = this.peek(count)
    const rest = this.pieces[0].subarray(count)
    if (rest.length === 0) this.pieces.shift()
    else this.pieces[0] = rest
    this.bytes -= count
    return taken
  }
}

/**
 * One WebSocket. Set `onMessage(buffer)` to get whole messages. `closed` resolves, once, to
 * `{ code, reason, error }`: the peer's close code, 1006 when the stream ended without one.
 */
export class WebSocketClient {
  onMessage = () => {}
  onPing = () => {}
  /** Pings are answered, unless a test plays dead. */
  answersPings = true
  isClosed = false
  #inbox = new Inbox()
  #message = []
  #close = { code: 1006, reason: '', error: undefined }
  #resolveClosed

  constructor(socket, head) {
    this.socket = socket
    this.closed = new Promise((resolve) => (this.#resolveClosed = resolve))
    socket.on('data', (piece) => this.#feed(piece))
    socket.on('error', (error) => (this.#close.error = error))
    socket.on('close', () => this.#onEnd())
    socket.on('end', () => socket.end())
    // What came with the handshake's answer is looked at later, so that the caller can set onMessage first.
    if (head.length > 0) this.#inbox.add(head)
    setImmediate(() => this.#feed(none))
  }

  send(text) {
    return this.sendRaw(encodeFrame(text))
  }

  sendRaw(bytes) {
    return this.socket.write(bytes)
  }

  /** Stops reading; the connection stays, and what the peer sends fills the buffers in between. */
  pause() {
    this.socket.pause()
  }

  resume() {
    this.socket.resume()
  }

  /** Says goodbye and waits for the peer's. */
  async close(code = 1000) {
    const payload = Buffer.alloc(2)
    payload.writeUInt16BE(code)
    if (!this.isClosed) this.socket.write(encodeFrame(payload, { opcode: opcodes.close }))
    return this.closed
  }

  /** Ends without a word: with a reset, as a process that dies with unread bytes leaves it. */
  abort() {
    this.socket.resetAndDestroy()
  }

  #onEnd() {
    this.isClosed = true
    this.#resolveClosed(this.#close)
  }

  #feed(piece) {
    if (piece.length > 0) this.#inbox.add(piece)
    while (this.#feedFrame());
  }

  #feedFrame() {
    const start = this.#inbox.peek(2)
    if (start === undefined) return false
    const opcode = start[0] & 0x0f
    const fin = (start[0] & 0x80) !== 0
    const shortLength = start[1] & 0x7f
    if ((start[1] & 0x80) !== 0) return this.#fail('a frame from the server is masked')
    const headerBytes = 2 + (shortLength === 126 ? 2 : shortLength === 127 ? 8 : 0)
    const header = this.#inbox.peek(headerBytes)
    if (header === undefined) return false
    const length =
      shortLength === 126
        ? header.readUInt16BE(2)
        : shortLength === 127
          ? Number(header.readBigUInt64BE(2))
          : shortLength
    if (this.#inbox.bytes < headerBytes + length) return false
    this.#inbox.take(headerBytes)
    this.#onFrame(opcode, fin, this.#inbox.take(length))
    return !this.isClosed
  }

  #onFrame(opcode, fin, payload) {
    switch (opcode) {
      case opcodes.text:
      case opcodes.continuation: {
        this.#message.push(payload)
        if (!fin) return
        const message = this.#message.length === 1 ? payload : Buffer.concat(this.#message)
        this.#message = []
        this.onMessage(message)
        return
      }
      case opcodes.ping:
        this.onPing()
        if (this.answersPings) this.socket.write(encodeFrame(payload, { opcode: opcodes.pong }))
        return
      case opcodes.close:
        this.#close.code = payload.length >= 2 ? payload.readUInt16BE(0) : 1005
        this.#close.reason = payload.subarray(2).toString()
        this.socket.write(encodeFrame(payload, { opcode: opcodes.close }))
        this.socket.end()
        return
      case opcodes.pong:
        return
      default:
        this.#fail(`unexpected opcode ${opcode}`)
    }
  }

  #fail(why) {
    this.#close.error = new Error(why)
    this.socket.destroy()
    return false
  }
}

/** A handshake that the server refused. `status` is the HTTP status, `body` what it said. */
export class UpgradeRefused extends Error {
  constructor(status, body) {
    super(`upgrade refused: ${status} ${body}`)
    this.status = status
    this.body = body
  }
}

/** The connection ended before the handshake was answered. */
export class HandshakeLost extends Error {
  constructor() {
    super('the connection ended in the handshake')
  }
}

/** Opens a WebSocket. Rejects with the socket's error, with HandshakeLost, or with UpgradeRefused. */
export const openWebSocket = ({ port, host = '127.0.0.1', path, headers }) =>
  new Promise((resolve, reject) => {
    const socket = net.connect({ port, host, noDelay: true })
    const handshake = encodeHandshake({ host: `${host}:${port}`, path, headers })
    let answer = none
    const onClose = () => {
      const [head, body] = answer.toString().split('\r\n\r\n')
      const status = Number(head.split(' ')[1])
      reject(answer.length > 0 ? new UpgradeRefused(status, body) : new HandshakeLost())
    }
    const onData = (piece) => {
      answer = Buffer.concat([answer, piece])
      const end = answer.indexOf('\r\n\r\n')
      const head = answer.subarray(0, Math.max(end, 0)).toString('latin1')
      if (end < 0 || Number(head.split(' ')[1]) !== 101) return // a refusal's body, then the end of the stream
      socket.off('data', onData).off('close', onClose).off('error', reject)
      if (head.includes(handshake.accept)) {
        resolve(new WebSocketClient(socket, answer.subarray(end + 4)))
      } else {
        socket.destroy()
        reject(new Error(`the handshake's answer is wrong:\n${head}`))
      }
    }
    socket.on('connect', () => socket.write(handshake.bytes))
    socket.on('data', onData).on('close', onClose).on('error', reject)
  })
